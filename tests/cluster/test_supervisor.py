"""Goal: what a plan says runs, in order, again after it died, and ends in order. Method: a supervisor in this process
on small shell scripts, killed, frozen and failing; every wait is for a condition.
"""

from __future__ import annotations

import asyncio
import itertools
import signal
import sys
import time
from pathlib import Path

import pytest

from relmachine.cluster.child import Child
from relmachine.cluster.spec import ProcessSpec
from relmachine.cluster.state import ClusterState, Phase, Stage
from relmachine.cluster.supervisor import Supervisor
from relmachine.errors import Code, RelmError
from tests.cluster.small import STEADY, gone, kill, plan, quick, said, script, until, wish

pytestmark = pytest.mark.process


def test_needs_are_ready_before_and_end_after(tmp_path: Path) -> None:
    """`last` fails at once when `first` is not ready; a slow `first` shows that it is waited for."""
    slow = 'trap "say gone; exit 0" TERM; sleep 0.3; touch ready; say up; while :; do sleep 0.02; done'
    first = script(tmp_path, "first", slow)
    beside = script(tmp_path, "beside", STEADY)
    last = script(tmp_path, "last", f"test -e {tmp_path}/first/ready || exit 9; {STEADY}", needs=["first", "beside"])

    async def run() -> ClusterState:
        async with Supervisor.running(plan(first, beside, last), wish(tmp_path), tmp_path) as cluster:
            assert cluster.state.phase is Phase.READY
            assert ClusterState.load(tmp_path).phase is Phase.READY
            return cluster.state

    state = asyncio.run(run())
    words = said(tmp_path)
    assert words[2] == "last up" and set(words[:2]) == {"first up", "beside up"}
    assert words[3] == "last gone" and set(words[4:]) == {"first gone", "beside gone"}
    assert [process.restarts for process in state.processes] == [0, 0, 0]
    assert {process.last_exit for process in ClusterState.load(tmp_path).processes} == {"exit 0"}
    assert ClusterState.load(tmp_path).phase is Phase.STOPPED


def test_a_crash_is_followed_by_a_restart_and_pauses_grow(tmp_path: Path) -> None:
    """Four starts that fail, then one that stays; the pauses between them at least double."""
    body = f"date +%s%N >> starts; test $(wc -l < starts) -gt 4 || exit 3; {STEADY}"
    failing = script(tmp_path, "failing", body, restart=quick(back_off_seconds_max=10, failures_max=9))

    async def run() -> ClusterState:
        async with Supervisor.running(plan(failing), wish(tmp_path), tmp_path) as cluster:
            return cluster.state.model_copy(deep=True)

    state = asyncio.run(run())
    starts = [int(line) / 1e9 for line in (tmp_path / "failing" / "starts").read_text().split()]
    assert len(starts) == 5
    assert state.processes[0].restarts == 4 and state.processes[0].last_exit == "exit 3"
    for number, (before, after) in enumerate(itertools.pairwise(starts)):
        assert after - before >= 0.05 * 2**number


def test_kill_9_is_followed_by_a_new_process_that_is_ready(tmp_path: Path) -> None:
    async def run() -> None:
        one = script(tmp_path, "one", STEADY, restart=quick())
        other = script(tmp_path, "other", STEADY)
        async with Supervisor.running(plan(one, other), wish(tmp_path), tmp_path) as cluster:
            before = dict(cluster.pids)
            kill(before["one"], signal.SIGKILL)
            await until(lambda: cluster.state.phase is Phase.DEGRADED, "the loss to be noticed")
            await until(lambda: cluster.state.phase is Phase.READY, "the restart")
            assert cluster.pids["one"] != before["one"] and cluster.pids["other"] == before["other"]
            assert cluster.state.process("one").last_exit == "killed by SIGKILL"
            assert ClusterState.load(tmp_path).process("one").restarts == 1

    asyncio.run(run())


def test_a_restart_on_demand_is_orderly_and_no_failure(tmp_path: Path) -> None:
    """More restarts than failures are allowed."""

    async def run() -> None:
        one = script(tmp_path, "one", STEADY, restart=quick(failures_max=2))
        async with Supervisor.running(plan(one), wish(tmp_path), tmp_path) as cluster:
            for _ in range(3):
                before = cluster.pids["one"]
                await cluster.restart("one")
                assert cluster.pids["one"] != before and cluster.state.phase is Phase.READY
            with pytest.raises(RelmError) as unknown:
                await cluster.restart("two")
            assert unknown.value.code is Code.NOT_FOUND

    asyncio.run(run())
    assert said(tmp_path) == ["one up", "one gone"] * 4


def test_one_that_ends_too_often_stops_the_cluster(tmp_path: Path) -> None:
    """It is ready once, then fails each time; the error names it and shows its log, the other one is drained."""
    body = f"if test -e was; then echo no more; exit 4; fi; touch was; {STEADY}"
    one = script(tmp_path, "one", body, restart=quick(failures_max=3))

    async def run() -> None:
        async with Supervisor.running(
            plan(one, script(tmp_path, "other", STEADY)), wish(tmp_path), tmp_path
        ) as cluster:
            kill(cluster.pids["one"], signal.SIGKILL)
            async with asyncio.timeout(30):
                await cluster.failed()

    with pytest.raises(RelmError) as failed:
        asyncio.run(run())
    assert failed.value.code is Code.UNREACHABLE
    assert failed.value.witness["process"] == "one" and failed.value.witness["last_exit"] == "exit 4"
    assert "no more" in str(failed.value.witness["log"])
    assert said(tmp_path)[-1] == "other gone"
    state = ClusterState.load(tmp_path)
    assert state.phase is Phase.FAILED and state.error is not None and "one" in state.error.sentence


def test_one_that_may_be_missed_is_tried_on(tmp_path: Path) -> None:
    """It fails more often than allowed, is called failing, and is ready again once its cause is gone."""
    body = f"if test -e {tmp_path}/broken; then exit 4; fi; {STEADY}"
    one = script(tmp_path, "one", body, restart=quick(failures_max=3, when_exhausted="degrade"))

    async def run() -> None:
        async with Supervisor.running(plan(one), wish(tmp_path), tmp_path) as cluster:
            (tmp_path / "broken").touch()
            kill(cluster.pids["one"], signal.SIGKILL)
            await until(lambda: cluster.state.process("one").stage is Stage.FAILING, "the process to be given up")
            assert cluster.state.phase is Phase.DEGRADED
            (tmp_path / "broken").unlink()
            await cluster.ready("one")
            assert cluster.state.phase is Phase.READY

    asyncio.run(run())


def test_one_that_does_not_get_ready_ends_the_start(tmp_path: Path) -> None:
    """The error comes in time, with the log; what was started already is drained, and the late one does not live on."""
    late = script(tmp_path, "late", "echo $$ > pid; echo still thinking; sleep 600", start_seconds_max=0.5)
    before = time.monotonic()

    async def run() -> None:
        async with Supervisor.running(plan(script(tmp_path, "other", STEADY), late), wish(tmp_path), tmp_path):
            pytest.fail("it was never ready")

    with pytest.raises(RelmError, match=r"late was not ready within 0\.5 s") as failed:
        asyncio.run(run())
    assert time.monotonic() - before < 30
    assert failed.value.witness["log"] == ["still thinking"]
    assert gone([int((tmp_path / "late" / "pid").read_text())])
    assert not said(tmp_path) or said(tmp_path)[-1] == "other gone"


def test_one_that_hangs_when_started_again_is_killed_and_started_once_more(tmp_path: Path) -> None:
    """The second of its starts never gets ready; the third does."""
    body = f"echo $$ >> pids; test $(wc -l < pids) != 2 || exec sleep 600; {STEADY}"
    one = script(tmp_path, "one", body, restart=quick(), start_seconds_max=2.0)

    async def run() -> None:
        async with Supervisor.running(plan(one), wish(tmp_path), tmp_path) as cluster:
            kill(cluster.pids["one"], signal.SIGKILL)
            await until(lambda: cluster.state.process("one").restarts == 2, "the second restart")
            await cluster.ready("one")

    asyncio.run(run())
    _, hung, _ = (int(pid) for pid in (tmp_path / "one" / "pids").read_text().split())
    assert gone([hung])


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    absent = ProcessSpec("absent", "small", ["/nowhere/program"], tmp_path / "absent")

    async def run() -> None:
        async with Supervisor.running(plan(absent), wish(tmp_path), tmp_path):
            pytest.fail("it cannot be ready")

    with pytest.raises(RelmError) as failed:
        asyncio.run(run())
    assert failed.value.code is Code.NOT_FOUND and failed.value.witness["program"] == "/nowhere/program"


def test_a_frozen_process_ends_in_order_and_a_deaf_one_is_killed(tmp_path: Path) -> None:
    deaf_body = 'trap "" TERM; touch ready; while :; do sleep 0.02; done'
    frozen, deaf = script(tmp_path, "frozen", STEADY), script(tmp_path, "deaf", deaf_body, stop_seconds=0.3)

    async def run() -> None:
        async with Supervisor.running(plan(frozen, deaf), wish(tmp_path), tmp_path) as cluster:
            kill(cluster.pids["frozen"], signal.SIGSTOP)

    asyncio.run(run())
    state = ClusterState.load(tmp_path)
    assert state.process("frozen").last_exit == "exit 0"
    assert state.process("deaf").last_exit == "killed by SIGKILL"


_COUNTS = """
import pathlib, signal, time
told = []
signal.signal(signal.SIGTERM, lambda *_: (told.append(1), pathlib.Path("told").write_text(str(len(told)))))
pathlib.Path("ready").touch()
while not pathlib.Path("end").exists():
    time.sleep(0.01)
"""


def test_a_process_is_told_to_end_once_however_often_it_is_stopped(tmp_path: Path) -> None:
    """As when a cluster drains in the middle of a change: a second signal would make a node hurry."""
    spec = ProcessSpec("slow", "small", [sys.executable, "-c", _COUNTS], tmp_path / "slow")

    async def run() -> None:
        child = await Child.start(spec, tmp_path, tmp_path / "log")
        await until((spec.folder / "ready").exists, "the process")
        stopping = asyncio.create_task(child.stop())
        await until((spec.folder / "told").exists, "the signal")
        stopping.cancel()
        again = asyncio.create_task(child.stop())
        await asyncio.wait({again}, timeout=0.3)
        (spec.folder / "end").touch()
        assert await again is True

    asyncio.run(run())
    assert (spec.folder / "told").read_text() == "1"


def test_what_a_process_started_itself_ends_too(tmp_path: Path) -> None:
    parent = script(tmp_path, "parent", "sleep 600 & echo $! > child; touch ready; wait")

    async def run() -> int:
        async with Supervisor.running(plan(parent), wish(tmp_path), tmp_path):
            return int((tmp_path / "parent" / "child").read_text())

    assert gone([asyncio.run(run())])
