"""Goal: on three nodes the permit log means what it means on one, and nodes restart under load without losing or
doubling a step. Method: the real command through a whole cluster, against an embedded store row by row and against the
feeds message by message; then a second load while every node is told to end, one after the other.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from relmachine.cluster.kind import Kind
from relmachine.cluster.logs import last_lines
from relmachine.ingest.cases import LogStep
from relmachine.store.verify import verify
from tests import permit
from tests.cluster.contents import check_feeds, check_same, check_settled_once
from tests.cluster.load import Load
from tests.cluster.whole import Whole, alone, embedded, log, renamed, whole

pytestmark = [pytest.mark.process, pytest.mark.whole_cluster, pytest.mark.slow, pytest.mark.timeout(900)]

LOAD_RATE = 200.0
"""Steps a second while nodes restart."""

LOAD_STEPS = 4500

PAUSE_SECONDS_MAX = 15.0


def test_the_figures_are_those_of_one_node_also_while_nodes_restart(tmp_path: Path) -> None:
    async def test() -> None:
        steps = log()
        again = renamed(steps[:LOAD_STEPS], "again-")
        one_node = await embedded(tmp_path / "one", steps)
        async with whole(tmp_path / "three") as run:
            began = time.monotonic()
            replayed = await _replay_command(run.folder)
            seconds = time.monotonic() - began
            wrong = {name: replayed[name] for name, value in permit.expected().items() if replayed[name] != value}
            assert wrong == {}
            found = await run.resting()
            check_same(found, one_node)
            assert await check_feeds(run.feeds, found) == len(steps)
            print(
                f"replay: {len(steps)} steps in {seconds:.0f} s with the command's start, {replayed['steps_per_s']} "
                f"steps/s; {len(found.threads)} heads and section digests equal, all feeds equal to the store"
            )
            run.acknowledged.update(found.decided)
            await _restart_every_node(run, again)
            found = await run.resting()
            check_settled_once(found, run.acknowledged)
            check_same(found, await embedded(tmp_path / "one", again))
            assert await check_feeds(run.feeds, found) == len(steps) + len(again)
            assert (await verify(run.store)).ok

    with alone():
        asyncio.run(test())


async def _replay_command(folder: Path) -> Mapping[str, Any]:
    """What `relm replay` prints."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "relmachine", "replay", str(permit.YAML), str(permit.LOG)),
        *("--context", str(folder), "--json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ,
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()[-2000:]
    return json.loads(output)


async def _restart_every_node(run: Whole, steps: Sequence[LogStep]) -> None:
    """Publish `steps` while the nodes end in order and start again, one after the other."""
    names = [process.name for process in run.of(Kind.NODE)]
    share = len(steps) // len(names)
    async with Load.on(run, steps, LOAD_RATE) as load:
        for number, name in enumerate(names):
            goal = len(steps) if name == names[-1] else share * (number + 1)
            load.allow(goal, at_once=share * number + share // 3)
            await load.until_decided(share * number + share // 10)
            began, decided = time.monotonic(), load.decided
            await run.cluster.restart(name)
            seconds, during = time.monotonic() - began, load.decided - decided
            assert during > 0, f"nothing was decided while {name} restarted"
            process = run.cluster.state.process(name)
            assert process.last_exit == "exit 0", last_lines(process.log, 200)
            await load.until_decided(goal)
            pause, wait = load.longest_pause(began), load.longest_wait(began)
            print(
                f"{name} restarted in {seconds:.1f} s, {during} steps meanwhile; {pause:.1f} s without progress, no "
                f"step waited longer than {wait:.1f} s",
                flush=True,
            )
            assert max(pause, wait) <= PAUSE_SECONDS_MAX
