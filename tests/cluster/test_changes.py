"""Goal: nodes join, leave and restart while the others run on, one change at a time; whatever ends the supervisor in
the middle, the next one goes on. Method: clusters of small scripts, asked through the socket as `relm nodes` does;
nodes that are slow or broken on purpose, supervisors in processes of their own that are told to end, or killed.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from relmachine.cluster.asking import ask
from relmachine.cluster.child import MARK, mark_of
from relmachine.cluster.holding import holding
from relmachine.cluster.leftovers import leftovers
from relmachine.cluster.looking import look
from relmachine.cluster.ports import ports
from relmachine.cluster.requests import Add, Done, Remove, Request, Restart
from relmachine.cluster.running import kept, recorded
from relmachine.cluster.state import ClusterState, Phase, Stage
from relmachine.cluster.supervisor import Supervisor
from relmachine.errors import Code, RelmError
from tests.cluster.small import block, gone, kill, said, until
from tests.cluster.small_nodes import planned, spec

pytestmark = pytest.mark.process

NODE_3 = {"opa-3", "daprd-3", "node-3"}


def asked(folder: Path, request: Request, told: list[str] | None = None) -> Done:
    """The answer of the supervisor."""
    return ask(folder, request, (told if told is not None else []).append)


def on(folder: Path, nodes: int, test: Callable[[Supervisor], Coroutine[None, None, None]]) -> None:
    """Run `test` on a cluster of so many nodes; nothing may end it meanwhile."""

    async def run() -> None:
        with holding(folder):
            async with kept(spec(folder, nodes, block()), planned(folder)) as cluster:
                failed = asyncio.create_task(cluster.failed())
                async with asyncio.timeout(60):
                    await test(cluster)
                assert not failed.done()
                failed.cancel()

    asyncio.run(run())


def names(cluster: Supervisor) -> set[str]:
    return {process.name for process in cluster.state.processes}


def test_whoever_reads_that_it_is_ready_may_ask(tmp_path: Path) -> None:
    listens: list[bool] = []

    def watch(state: ClusterState) -> None:
        if state.phase is Phase.READY:
            listens.append((tmp_path / "control.sock").exists())

    async def run() -> None:
        with holding(tmp_path):
            async with kept(spec(tmp_path, 1, block()), planned(tmp_path), watch):
                pass

    asyncio.run(run())
    assert listens[0]


def test_a_node_joins_after_what_it_needs_and_nobody_else_notices(tmp_path: Path) -> None:
    async def test(cluster: Supervisor) -> None:
        before, words, told = dict(cluster.pids), len(said(tmp_path)), list[str]()
        done = await asyncio.to_thread(asked, tmp_path, Add(), told)
        assert done == Done(changed=("node-3",), nodes=("node-1", "node-2", "node-3"))
        assert told[0] == "node-3 is joining" and told[1].startswith("node-3 joined in ")
        new = said(tmp_path)[words:]
        assert new[2:] == ["node-3 up"] and set(new[:2]) == {"opa-3 up written", "daprd-3 up"}
        assert {name: cluster.pids[name] for name in before} == before
        assert cluster.pids.keys() - before.keys() == NODE_3
        assert cluster.state.phase is Phase.READY
        assert {process.stage for process in cluster.state.processes} == {Stage.READY}
        wish = recorded(tmp_path)
        assert wish is not None and (wish.nodes, wish.numbers) == (3, (1, 2, 3))

    on(tmp_path, 2, test)
    assert {process.last_exit for process in ClusterState.load(tmp_path).processes} == {"exit 0"}


def test_a_node_leaves_before_what_it_needs_and_comes_back_to_its_ports(tmp_path: Path) -> None:
    async def test(cluster: Supervisor) -> None:
        before, words = dict(cluster.pids), len(said(tmp_path))
        where = cluster.state.process("node-1")
        done = await asyncio.to_thread(asked, tmp_path, Remove(nodes=("node-1",)))
        assert done == Done(changed=("node-1",), nodes=("node-2",))
        left = said(tmp_path)[words:]
        assert left[0] == "node-1 gone" and set(left[1:]) == {"opa-1 gone", "daprd-1 gone"}
        assert cluster.pids == {name: pid for name, pid in before.items() if not name.endswith("-1")} | {
            "scheduler-1": before["scheduler-1"]
        }
        assert gone([before["node-1"], before["daprd-1"], before["opa-1"]])
        assert cluster.state.phase is Phase.READY
        await asyncio.to_thread(asked, tmp_path, Add(nodes=("node-1",)))
        assert ports(recorded(tmp_path).spec(tmp_path))["node-1"] == ports(spec(tmp_path, 1, block()))["node-1"]  # type: ignore[union-attr]
        assert cluster.state.process("node-1").address == where.address
        assert [process.name for process in cluster.state.processes if process.name.startswith("node-")] == [
            "node-1",
            "node-2",
        ]

    on(tmp_path, 2, test)


def test_one_change_at_a_time_and_the_one_under_way_shows(tmp_path: Path) -> None:
    (tmp_path / "slow").write_text("3\n")

    async def test(cluster: Supervisor) -> None:
        adding = asyncio.create_task(asyncio.to_thread(asked, tmp_path, Add()))
        await until(lambda: names(cluster) >= NODE_3 and cluster.pids.keys() >= NODE_3, "the node to be begun")
        wish = recorded(tmp_path)
        assert wish is not None and wish.numbers == (1, 2, 3), "the wish is written first"
        assert ClusterState.load(tmp_path).process("node-3").stage is Stage.JOINING
        seen = await look(tmp_path)
        assert seen.phase is Phase.READY and seen.well
        assert [one.state for one in seen.processes if one.process == "node-3"] == [Stage.JOINING]
        for request in (Add(), Add(nodes=("node-3",)), Remove(nodes=("node-1",)), Restart()):
            with pytest.raises(RelmError) as refused:
                await asyncio.to_thread(asked, tmp_path, request)
            assert refused.value.code is Code.LIMIT_EXCEEDED and refused.value.witness == {"under_way": "add"}
        (tmp_path / "slow").unlink()
        assert (await adding).nodes == ("node-1", "node-2", "node-3")
        again = await asyncio.to_thread(asked, tmp_path, Add(nodes=("node-3",)))
        assert again == Done(changed=(), nodes=("node-1", "node-2", "node-3")), "asked twice, it is there once"

    on(tmp_path, 2, test)


def test_a_node_that_leaves_shows_it_and_so_does_what_waits_for_it(tmp_path: Path) -> None:
    (tmp_path / "deaf").write_text("2\n")

    async def test(cluster: Supervisor) -> None:
        removing = asyncio.create_task(asyncio.to_thread(asked, tmp_path, Remove(nodes=("node-2",))))
        await until((tmp_path / "node-2" / "told").exists, "the node to be told")
        stages = {process.name: process.stage for process in ClusterState.load(tmp_path).processes}
        assert {stages[name] for name in ("node-2", "daprd-2", "opa-2")} == {Stage.LEAVING}
        assert {stages[name] for name in ("node-1", "daprd-1", "scheduler-1")} == {Stage.READY}
        seen = await look(tmp_path)
        assert seen.well and seen.phase is Phase.READY
        (tmp_path / "deaf").unlink()
        assert (await removing).nodes == ("node-1",)

    on(tmp_path, 2, test)


def test_a_node_that_cannot_be_started_is_taken_back(tmp_path: Path) -> None:
    """The error names it and shows its log; the others never noticed, and it may join once it is mended."""
    (tmp_path / "broken").write_text("4\n")

    async def test(cluster: Supervisor) -> None:
        before = dict(cluster.pids)
        with pytest.raises(RelmError) as failed:
            await asyncio.to_thread(asked, tmp_path, Add(count=2))
        assert failed.value.code is Code.UNREACHABLE
        assert failed.value.witness["process"] == "node-4" and "broken" in str(failed.value.witness["log"])
        assert cluster.pids == before and cluster.state.phase is Phase.READY
        wish = recorded(tmp_path)
        assert wish is not None and wish.numbers == (1, 2)
        assert set(leftovers(tmp_path).values()) == set(before)
        (tmp_path / "broken").unlink()
        done = await asyncio.to_thread(asked, tmp_path, Add(count=2))
        assert done.changed == ("node-3", "node-4")

    on(tmp_path, 2, test)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (Remove(nodes=("node-1", "node-2")), Code.LIMIT_EXCEEDED),
        (Remove(nodes=("node-3",)), Code.NOT_FOUND),
        (Remove(nodes=("node-1", "scheduler-1")), Code.NOT_FOUND),
        (Restart(nodes=("node-1", "node-9")), Code.NOT_FOUND),
        (Add(count=8), Code.LIMIT_EXCEEDED),
        (Add(nodes=("node-10",)), Code.NOT_FOUND),
    ],
)
def test_what_cannot_be_changes_nothing(tmp_path: Path, request_: Request, code: Code) -> None:
    async def test(cluster: Supervisor) -> None:
        before, words = dict(cluster.pids), said(tmp_path)
        with pytest.raises(RelmError) as refused:
            await asyncio.to_thread(asked, tmp_path, request_)
        assert refused.value.code is code
        assert (cluster.pids, said(tmp_path)) == (before, words)
        wish = recorded(tmp_path)
        assert wish is not None and wish.numbers == (1, 2)

    on(tmp_path, 2, test)


def test_nodes_restart_one_after_the_other(tmp_path: Path) -> None:
    async def test(cluster: Supervisor) -> None:
        before, words, told = dict(cluster.pids), len(said(tmp_path)), list[str]()
        done = await asyncio.to_thread(asked, tmp_path, Restart(), told)
        assert done.changed == ("node-1", "node-2", "node-3")
        assert said(tmp_path)[words:] == [f"node-{number} {word}" for number in (1, 2, 3) for word in ("gone", "up")]
        changed = {name for name, pid in cluster.pids.items() if before[name] != pid}
        assert changed == {"node-1", "node-2", "node-3"}
        assert len(told) == 6

    on(tmp_path, 3, test)


def test_a_node_that_does_not_come_back_stops_the_restarting(tmp_path: Path) -> None:
    async def test(cluster: Supervisor) -> None:
        before = dict(cluster.pids)
        (tmp_path / "broken").write_text("2\n")
        with pytest.raises(RelmError) as failed:
            await asyncio.to_thread(asked, tmp_path, Restart())
        assert failed.value.witness["process"] == "node-2"
        assert cluster.pids["node-1"] != before["node-1"] and cluster.pids["node-3"] == before["node-3"]
        (tmp_path / "broken").unlink()
        await cluster.ready("node-2")  # it is tried on
        assert (await asyncio.to_thread(asked, tmp_path, Restart(nodes=("node-3",)))).changed == ("node-3",)

    on(tmp_path, 3, test)


def test_what_a_node_that_left_had_started_ends_too(tmp_path: Path) -> None:
    """A process with the mark of the node, as one that it started would have it, deaf besides; another node's lives."""

    async def test(_: Supervisor) -> None:
        body = 'trap "" TERM; while :; do sleep 0.02; done'
        marked = {name: _marked(tmp_path, name, body) for name in ("node-1", "node-2")}
        try:
            await asyncio.to_thread(asked, tmp_path, Remove(nodes=("node-2",)))
            assert marked["node-2"].wait(10) == -signal.SIGKILL
            assert marked["node-1"].poll() is None
        finally:
            for process in marked.values():
                process.kill()
                process.wait()

    on(tmp_path, 2, test)


def _marked(folder: Path, name: str, body: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["/bin/sh", "-c", body], env={MARK: mark_of(folder, name)}, start_new_session=True)


class Own:
    """A supervisor in a process of its own."""

    def __init__(self, folder: Path, nodes: int = 2) -> None:
        self.folder = folder
        with (folder / "supervisor.log").open("ab") as log:
            command = [sys.executable, "-m", "tests.cluster.small_nodes", str(folder), str(nodes), str(block())]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    async def ready(self) -> ClusterState:
        """What it says once everything is ready."""

        def is_ready() -> bool:
            assert self.process.poll() is None, (self.folder / "supervisor.log").read_text()
            found = self.state()
            return found is not None and found.supervisor_pid == self.process.pid and found.phase is Phase.READY

        await until(is_ready, "the cluster to be ready")
        return ClusterState.load(self.folder)

    def state(self) -> ClusterState | None:
        """What is written down; None when nothing is."""
        return ClusterState.load(self.folder) if (self.folder / "cluster.json").exists() else None

    def end(self) -> None:
        """Whatever became of the test."""
        self.process.kill()
        self.process.wait()


def _told(folder: Path, request: Request) -> RelmError:
    with pytest.raises(RelmError) as told:
        asked(folder, request)
    return told.value


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGKILL])
def test_a_supervisor_that_ends_in_a_join_has_it_written_down(tmp_path: Path, sign: signal.Signals) -> None:
    """Told to end, it drains in order, the node that was joining as well; killed, everything goes with it. Either way
    whoever asked is told, and the next one has the node.
    """
    (tmp_path / "slow").write_text("3\n")

    async def test() -> None:
        first = Own(tmp_path)
        try:
            await first.ready()
            adding = asyncio.create_task(asyncio.to_thread(_told, tmp_path, Add()))

            def begun() -> bool:
                assert not adding.done(), adding.result()
                return (tmp_path / "node-3" / "begun").exists()

            await until(begun, "the node to be begun")
            pids = [process.pid for process in ClusterState.load(tmp_path).processes if process.pid is not None]
            kill(first.process.pid, sign)
            error = await adding
            assert error.code is Code.UNREACHABLE and "the next `relm up` goes on with" in error.sentence
            code = await asyncio.to_thread(first.process.wait, 30)
            assert code == (0 if sign is signal.SIGTERM else -signal.SIGKILL)
            await until(lambda: gone(pids) and not leftovers(tmp_path), "every process to be gone")
            if sign is signal.SIGTERM:
                state = ClusterState.load(tmp_path)
                assert state.phase is Phase.STOPPED
                assert {process.last_exit for process in state.processes} == {"exit 0"}
                words = said(tmp_path)
                assert words.index("node-3 gone") < words.index("daprd-3 gone")
        finally:
            first.end()
        (tmp_path / "slow").unlink()
        second = Own(tmp_path)
        try:
            state = await second.ready()
            assert state.wish.numbers == (1, 2, 3)
            assert {process.name for process in state.processes} >= NODE_3
        finally:
            kill(second.process.pid, signal.SIGTERM)
            await asyncio.to_thread(second.process.wait, 30)
            second.end()

    asyncio.run(test())


def test_a_supervisor_that_is_killed_in_a_removal_has_it_written_down(tmp_path: Path) -> None:
    (tmp_path / "deaf").write_text("2\n")

    async def test() -> None:
        first = Own(tmp_path)
        try:
            await first.ready()
            removing = asyncio.create_task(asyncio.to_thread(_told, tmp_path, Remove(nodes=("node-2",))))
            await until((tmp_path / "node-2" / "told").exists, "the node to be told")
            first.end()
            assert (await removing).code is Code.UNREACHABLE
        finally:
            first.end()
        second = Own(tmp_path)
        try:
            state = await second.ready()
            assert [process.name for process in state.processes if process.name.startswith("node")] == ["node-1"]
        finally:
            second.end()
        await until(lambda: not leftovers(tmp_path), "every process to be gone")

    asyncio.run(test())


def relm(*arguments: object) -> subprocess.CompletedProcess[str]:
    """A command of its own."""
    command = [sys.executable, "-m", "relmachine", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_command_line(tmp_path: Path) -> None:
    async def test() -> None:
        own = Own(tmp_path)
        try:
            await own.ready()
            added = relm("nodes", "add", "--data", tmp_path)
            assert added.returncode == 0 and "nodes: node-1, node-2, node-3" in added.stdout
            assert "node-3 joined in" in added.stderr
            removed = relm("nodes", "remove", "node-1", "--data", tmp_path, "--json")
            found = json.loads(removed.stdout)
            assert found["changed"] == ["node-1"] and found["nodes"] == ["node-2", "node-3"] and removed.stderr == ""
            restarted = relm("nodes", "restart", "--all", "--data", tmp_path)
            assert restarted.returncode == 0 and restarted.stderr.count("restarted in") == 2
            listed = relm("nodes", "list", "--data", tmp_path, "--json")
            assert [(one["process"], one["state"]) for one in json.loads(listed.stdout)] == [
                ("node-2", "ready"),
                ("node-3", "ready"),
            ]
            unknown = relm("nodes", "remove", "node-1", "--data", tmp_path)
            assert unknown.returncode == 3 and "not_found" in unknown.stderr
            for senseless in (["restart"], ["restart", "--all", "node-2"], ["add", "node-4", "--count", 2], ["remove"]):
                assert relm("nodes", *senseless, "--data", tmp_path).returncode == 2
            began = time.monotonic()
            assert relm("down", "--data", tmp_path).returncode == 0
            assert time.monotonic() - began < 60
            down = relm("nodes", "restart", "--all", "--data", tmp_path)
            assert down.returncode == 4 and "relm up" in down.stderr
        finally:
            own.end()

    asyncio.run(test())
