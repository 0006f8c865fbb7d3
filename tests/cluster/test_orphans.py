"""Goal: no process of a cluster outlives its supervisor for long. Method: kill -9 a supervisor in a process of its own;
leave a marked process behind as where the kernel does not help, next to strangers that must live on.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from relmachine.cluster.child import MARK, mark_of
from relmachine.cluster.ending import end
from relmachine.cluster.leftovers import end_leftovers, leftovers
from relmachine.cluster.state import ClusterState, Phase, Stage
from relmachine.node.living import lives
from tests.cluster.small import gone, until, wish

pytestmark = pytest.mark.process

_SUPERVISOR = """
import asyncio, sys
from pathlib import Path
from relmachine.cluster.supervisor import Supervisor
from tests.cluster.small import STEADY, plan, script, wish

async def run(folder):
    processes = [script(folder, f"steady-{number}", STEADY) for number in range(3)]
    async with Supervisor.running(plan(*processes), wish(folder), folder) as cluster:
        await cluster.failed()

loop = None
if sys.argv[2] == "uvloop":
    import uvloop
    loop = uvloop.new_event_loop
with asyncio.Runner(loop_factory=loop) as runner:
    runner.run(run(Path(sys.argv[1])))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next up or down ends them")
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_kill_9_of_the_supervisor_takes_its_processes_with_it(tmp_path: Path, loop: str) -> None:
    with (tmp_path / "supervisor.log").open("wb") as log:
        supervisor = subprocess.Popen([sys.executable, "-c", _SUPERVISOR, tmp_path, loop], stdout=log, stderr=log)

    def ready() -> bool:
        assert supervisor.poll() is None, (tmp_path / "supervisor.log").read_text()
        return (tmp_path / "cluster.json").exists() and ClusterState.load(tmp_path).phase is Phase.READY

    try:
        asyncio.run(until(ready, "the processes to be ready"))
        pids = [process.pid for process in ClusterState.load(tmp_path).processes]
        assert len(pids) == 3 and all(pid is not None and lives(pid) for pid in pids)
    finally:
        supervisor.kill()
        supervisor.wait()
    asyncio.run(until(lambda: gone([pid for pid in pids if pid is not None]), "the processes to be gone"))
    asyncio.run(until(lambda: not leftovers(tmp_path), "what they started to be gone as well"))


@pytest.fixture
def strangers(tmp_path: Path) -> list[subprocess.Popen[bytes]]:
    """A marked process that hears, a marked one that does not, one of another cluster, and one of nobody."""
    other = tmp_path.with_name(tmp_path.name + "0")
    commands = [
        ("sleep 600 & wait", mark_of(tmp_path, "hears")),
        ('trap "" TERM; touch deaf; while :; do sleep 0.02; done', mark_of(tmp_path, "deaf")),
        ("sleep 600 & wait", mark_of(other, "hears")),
        ("sleep 600 & wait", ""),
    ]
    return [
        subprocess.Popen(["/bin/sh", "-c", body], env={**os.environ, MARK: mark}, cwd=tmp_path, start_new_session=True)
        for body, mark in commands
    ]


def test_leftovers_are_ended_and_strangers_are_not(tmp_path: Path, strangers: list[subprocess.Popen[bytes]]) -> None:
    hears, deaf, *others = strangers
    try:
        asyncio.run(until((tmp_path / "deaf").exists, "the deaf one to be deaf"))
        assert {leftovers(tmp_path)[hears.pid], leftovers(tmp_path)[deaf.pid]} == {"hears", "deaf"}
        assert set(end_leftovers(tmp_path, seconds_max=0.5)) == {"hears", "deaf"}
        assert hears.wait(10) == -signal.SIGTERM and deaf.wait(10) == -signal.SIGKILL
        assert leftovers(tmp_path) == {}
        assert all(process.poll() is None for process in others)
    finally:
        for process in strangers:
            os.killpg(process.pid, signal.SIGKILL) if process.poll() is None else None
            process.wait()


def test_down_ends_what_a_killed_supervisor_left(tmp_path: Path) -> None:
    """Its state says ready, its processes run: afterwards neither does."""
    state = ClusterState(wish=wish(tmp_path), phase=Phase.READY, supervisor_pid=1, processes=[])
    state.save(tmp_path)
    left = subprocess.Popen(["/bin/sleep", "600"], env={**os.environ, MARK: mark_of(tmp_path, "left")})
    try:
        assert end(tmp_path) is True
        assert left.wait(10) == -signal.SIGTERM
    finally:
        left.kill()
        left.wait()
    assert ClusterState.load(tmp_path).phase is Phase.STOPPED
    assert all(process.stage is Stage.STOPPED for process in ClusterState.load(tmp_path).processes)
    assert end(tmp_path) is False
