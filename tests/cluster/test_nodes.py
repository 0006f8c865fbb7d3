"""Goal: nodes join, leave and restart under load without a step lost or doubled; a node that joined takes its share.
Method: `relm nodes` on a whole cluster while the permit log comes in; what each node did itself is asked of the node;
afterwards the store is compared with an embedded one row by row and with the feeds message by message.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from relmachine.cluster.kind import OF_A_NODE, Kind
from relmachine.cluster.leftovers import leftovers
from relmachine.cluster.logs import last_lines
from relmachine.cluster.ports import ports
from relmachine.cluster.state import Phase, ProcessState
from relmachine.node.context import Context
from relmachine.store.verify import verify
from tests import permit
from tests.cluster.contents import check_feeds, check_same, check_settled_once
from tests.cluster.load import Load
from tests.cluster.whole import Whole, alone, embedded, log, until, whole

pytestmark = [pytest.mark.process, pytest.mark.whole_cluster, pytest.mark.slow, pytest.mark.timeout(900)]

LOAD_RATE = 150.0
"""Steps a second while something changes."""

PAUSE_SECONDS_MAX = 15.0

FEW = 1200

CHANGES = {
    "add": ["add"],
    "remove": ["remove", "node-1"],
    "restart": ["restart", "--all"],
    "add again": ["add", "node-1"],
}
SHARES = {"add": 0.25, "remove": 0.45, "restart": 0.85, "add again": 1.0}
"""How much of the log has come in when the load of a change ends; restarting three nodes takes longest."""


def test_nothing_is_lost_or_doubled_while_nodes_come_and_go(tmp_path: Path) -> None:
    async def test() -> None:
        steps = log()
        one_node = await embedded(tmp_path / "one", steps)
        async with whole(tmp_path / "three") as run:
            async with Load.on(run, steps, LOAD_RATE) as load:
                begin = 0
                for name, change in CHANGES.items():
                    goal = round(len(steps) * SHARES[name])
                    load.allow(goal, at_once=begin + (goal - begin) // 4)
                    await load.until_decided(begin + (goal - begin) // 16)
                    if name == "remove":
                        await _takes_part(run, "node-4")
                    await _changed(run, load, change)
                    await load.until_decided(goal)
                    begin = goal
            found = await run.resting()
            assert {name: found.figures[name] for name in permit.expected()} == permit.expected()
            check_settled_once(found, run.acknowledged)
            check_same(found, one_node)
            assert await check_feeds(run.feeds, found) == len(steps)
            assert (await verify(run.store)).ok
            assert [one.name for one in run.of(Kind.NODE)] == ["node-1", "node-2", "node-3", "node-4"]
            assert run.cluster.state.phase is Phase.READY
            wish = run.cluster.state.wish
            assert ports(wish.spec(run.folder))["node-1"] == dict(run.cluster.state.process("node-1").ports)

    with alone():
        asyncio.run(test())
    assert leftovers(tmp_path / "three") == {}


def test_a_folder_that_began_with_one_node_goes_on_with_three(tmp_path: Path) -> None:
    """Its servers stay one of each kind, with what they hold: streams of one replica, a store of one member."""
    steps = log()[:FEW]

    async def test() -> None:
        one_node = await embedded(tmp_path / "one", steps)
        folder = tmp_path / "grows"
        async with whole(folder, nodes=1) as run:
            await run.publish(steps[: FEW // 2])
            await run.until_decided()
            before = run.acknowledged
        async with whole(folder, nodes=3) as run:
            counts = {kind: len(run.of(kind)) for kind in Kind}
            assert {kind for kind, count in counts.items() if count == 3} == OF_A_NODE
            assert {count for kind, count in counts.items() if kind not in OF_A_NODE} == {1}
            run.acknowledged |= before
            await run.publish(steps[FEW // 2 :])
            await run.until_decided()
            found = await run.resting()
            check_settled_once(found, run.acknowledged)
            check_same(found, one_node)
            assert await check_feeds(run.feeds, found) == len(steps)
            turns = [_turns(one) for one in run.of(Kind.NODE)]
            assert min(turns) > 0, f"turns of the nodes: {turns}"

    with alone():
        asyncio.run(test())


async def _changed(run: Whole, load: Load, change: list[str]) -> None:
    """Carry it out by the command, and say what it cost."""
    before = {process.name: process for process in run.cluster.state.processes}
    pids = dict(run.cluster.pids)
    began, decided = time.monotonic(), load.decided
    told = await _relm("nodes", *change, "--data", str(run.folder))
    seconds, during = time.monotonic() - began, load.decided - decided
    assert during > 0, f"nothing was decided during {change}"
    after = {process.name for process in run.cluster.state.processes}
    restarted = {process.name for process in run.of(Kind.NODE)} if change[0] == "restart" else set[str]()
    for process in before.values():
        if process.name not in after or process.name in restarted:
            assert process.last_exit == "exit 0", (process.name, process.last_exit, last_lines(process.log, 200))
        else:
            assert run.cluster.pids[process.name] == pids[process.name], f"{process.name} restarted during {change}"
    assert Context.load(run.folder).http_url in [one.address for one in run.of(Kind.NODE)]
    if change[0] == "remove":
        assert before.keys() - after == {f"{kind}-1" for kind in OF_A_NODE}
    pause, wait = load.longest_pause(began), load.longest_wait(began)
    print(
        f"relm nodes {' '.join(change)}: {seconds:.1f} s, {during} steps meanwhile; {pause:.1f} s without progress, no "
        f"step waited longer than {wait:.1f} s\n  {told}",
        flush=True,
    )
    assert max(pause, wait) <= PAUSE_SECONDS_MAX


async def _takes_part(run: Whole, name: str) -> None:
    """Wait until the node has committed turns of its own."""
    process = run.cluster.state.process(name)

    async def has_committed() -> bool:
        return await asyncio.to_thread(_turns, process) > 0

    await until(has_committed, f"turns of {name}")
    print(f"{name} committed turns, {', '.join(f'{one.name} {_turns(one)}' for one in run.of(Kind.NODE))}", flush=True)


def _turns(node: ProcessState) -> int:
    with urllib.request.urlopen(f"{node.address}/status.json", timeout=20) as answer:
        return int(json.load(answer)["node"]["turns_committed"])


async def _relm(*arguments: str) -> str:
    """What the command told."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "relmachine", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()[-2000:]
    return "; ".join(errors.decode().split("\n")[:-1]) + "; " + output.decode().split("\n")[0]
