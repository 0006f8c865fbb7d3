"""Goal: a full disk ends nothing. Method: a supervisor on small scripts whose files cannot be written from some moment
on: processes die and come back, nodes are asked for, the cluster drains; the same with a log on a device that is full.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from relmachine.cluster import context, logs, state, supervisor
from relmachine.cluster.changes import Changes
from relmachine.cluster.context import reachable
from relmachine.cluster.keepers import Keepers
from relmachine.cluster.requests import Add, Remove
from relmachine.cluster.state import ClusterState, Phase, ProcessState, Stage, Wish
from relmachine.cluster.supervisor import Supervisor
from relmachine.errors import Code, RelmError
from tests.cluster.small import STEADY, gone, kill, plan, quick, said, script, until, wish
from tests.cluster.small_nodes import planned, spec

pytestmark = pytest.mark.process


class Disk:
    """Full or not."""

    full = False

    def write(self, path: Path, text: str, mode: int = 0o600) -> None:
        """As `write_private`."""
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        path.write_text(text)
        path.chmod(mode)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """What the supervisor writes to."""
    made = Disk()
    monkeypatch.setattr(state, "write_private", made.write)
    monkeypatch.setattr(supervisor, "write_private", made.write)
    yield made


def test_what_dies_on_a_full_disk_comes_back_and_the_drain_stops_everybody(tmp_path: Path, disk: Disk) -> None:
    """What was seen before is caught up with once there is room."""
    first = script(tmp_path, "first", STEADY, restart=quick())
    second = script(tmp_path, "second", STEADY, needs=["first"], restart=quick())
    pids: list[int] = []

    async def run() -> None:
        async with Supervisor.running(plan(first, second), wish(tmp_path), tmp_path) as cluster:
            failed = asyncio.create_task(cluster.failed())
            disk.full = True
            before = cluster.pids["first"]
            kill(before, signal.SIGKILL)
            await until(lambda: cluster.state.process("first").restarts == 1, "the loss to be noticed")
            await cluster.ready("first")
            assert cluster.state.phase is Phase.READY and not failed.done()
            assert ClusterState.load(tmp_path).process("first").pid == before
            pids.extend(cluster.pids.values())
            disk.full = False
            await until(lambda: ClusterState.load(tmp_path).process("first").pid in pids, "the file to be written")
            disk.full = True
            failed.cancel()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(logs, "LOOK_SECONDS", 0.05)
        asyncio.run(run())
    assert said(tmp_path)[-2:] == ["second gone", "first gone"]
    assert gone(pids)


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), RelmError(Code.NOT_FOUND, "no node has run here")])
def test_a_watcher_that_cannot_write_ends_nothing(tmp_path: Path, error: Exception) -> None:
    one = script(tmp_path, "one", STEADY, restart=quick())

    def watch(_: ClusterState) -> None:
        raise error

    async def run() -> None:
        async with Supervisor.running(plan(one), wish(tmp_path), tmp_path, watch) as cluster:
            kill(cluster.pids["one"], signal.SIGKILL)
            await until(lambda: cluster.state.process("one").restarts == 1, "the loss to be noticed")
            await cluster.ready("one")

    asyncio.run(run())
    assert said(tmp_path) == ["one up", "one up", "one gone"]


def test_whoever_is_kept_is_stopped_whatever_telling_of_it_does(tmp_path: Path) -> None:
    full = False

    def changed() -> None:
        if full:
            raise OSError(errno.ENOSPC, "full")

    async def run() -> list[int]:
        nonlocal full
        keepers = Keepers(tmp_path, changed)
        specs = [script(tmp_path, "server", STEADY), script(tmp_path, "node", STEADY, needs=["server"])]
        states = [
            ProcessState(name=one.name, kind=one.kind, address="", ports={}, ready=[], log=tmp_path / f"{one.name}.log")
            for one in specs
        ]
        await keepers.join(specs, states)
        pids = [one.pid for one in states if one.pid is not None]
        full = True
        async with asyncio.timeout(20):
            await keepers.end(keepers.names())
        return pids

    pids = asyncio.run(run())
    assert len(pids) == 2 and gone(pids)
    assert said(tmp_path)[-2:] == ["node gone", "server gone"]


def test_nodes_neither_come_nor_go_while_that_cannot_be_written_down(tmp_path: Path, disk: Disk) -> None:
    """Else the next `relm up` would start what was removed. Whoever asks is told, and asks again."""

    async def run() -> None:
        wanted, made = spec(tmp_path, 2), planned(tmp_path)
        async with Supervisor.running(made(wanted), Wish.of(wanted), tmp_path) as cluster:
            changes, before, words = Changes(cluster, wanted, made), dict(cluster.pids), said(tmp_path)
            disk.full = True
            for request in (Remove(nodes=("node-1",)), Add(nodes=("node-3",))):
                with pytest.raises(RelmError) as refused:
                    await changes.carry_out(request, lambda _: None)
                assert refused.value.code is Code.UNREACHABLE and "nothing was changed" in refused.value.sentence
            assert (cluster.pids, said(tmp_path), cluster.state.wish) == (before, words, Wish.of(wanted))
            disk.full = False
            done = await changes.carry_out(Remove(nodes=("node-1",)), lambda _: None)
            assert done.nodes == ("node-2",) and ClusterState.load(tmp_path).wish.numbers == (2,)

    asyncio.run(run())


def test_a_node_whose_files_cannot_be_written_is_taken_back(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, text: str, mode: int) -> None:
        raise OSError(errno.ENOSPC, "full", str(path))

    async def run() -> None:
        wanted, made = spec(tmp_path, 2), planned(tmp_path)
        async with Supervisor.running(made(wanted), Wish.of(wanted), tmp_path) as cluster:
            changes, before = Changes(cluster, wanted, made), dict(cluster.pids)
            with monkeypatch.context() as patched:
                patched.setattr(supervisor, "write_private", full)
                with pytest.raises(OSError, match="full"):
                    await changes.carry_out(Add(), lambda _: None)
            assert ClusterState.load(tmp_path).wish == cluster.state.wish == Wish.of(wanted)
            assert cluster.pids == before and cluster.state.phase is Phase.READY
            assert (await changes.carry_out(Add(), lambda _: None)).changed == ("node-3",)

    asyncio.run(run())


def test_a_log_that_is_too_long_is_emptied_where_there_is_no_room_for_its_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "one.log"
    path.write_bytes(b"x" * 100)

    def half(_: Path, to: Path) -> None:
        to.write_bytes(b"x" * 50)
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(shutil, "copyfile", half)
    assert logs.bound(path, 10)
    assert path.stat().st_size == 0 and list(tmp_path.iterdir()) == [path]
    monkeypatch.setattr(os, "truncate", lambda *_: half(path, tmp_path / "half"))
    path.write_bytes(b"x" * 100)
    assert not logs.bound(path, 10)


def test_where_the_cluster_is_is_said_once_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full, written = True, list[tuple[str, int | None]]()

    def write(_: Path, node: str, pid: int | None) -> None:
        if full:
            raise OSError(errno.ENOSPC, "full")
        written.append((node, pid))

    monkeypatch.setattr(context, "_write", write)
    node = ProcessState(
        name="node-1", kind="node", address="", ports={}, ready=[], log=tmp_path / "log", stage=Stage.READY
    )
    seen = ClusterState(wish=wish(tmp_path), phase=Phase.READY, supervisor_pid=1, processes=[node])
    with reachable(tmp_path) as follow:
        with pytest.raises(OSError, match="full"):
            follow(seen)
        full = False
        follow(seen)
        full = True
    assert written == [("node-1", os.getpid())]


def test_a_log_line_for_which_there_is_no_room_ends_nobody() -> None:
    code = (
        "import structlog\n"
        "from relmachine.cli.serving import serve\n"
        "async def work():\n"
        "    for _ in range(3):\n"
        "        structlog.get_logger().warning('trouble')\n"
        "    print('went on', flush=True)\n"
        "serve(work)\n"
    )
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=full, text=True, check=False)
    assert done.stdout == "went on\n"
