"""Goal: two nodes on one store and one stream settle every step once. Method: both take hints of the same consumer, so
turns of one thread run on both; the fence in the store decides, and the figures are those of one node."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from relmachine.ingest.steps import survey
from relmachine.node import Node, Settings
from relmachine.node.log_replay import Target, replay_log
from relmachine.store.verify import verify
from tests import permit

pytestmark = pytest.mark.process


def test_the_figures_are_those_of_one_node(tmp_path: Path) -> None:
    async def work() -> None:
        machine = permit.machine()
        async with (
            Node.running(machine, Settings(data_dir=tmp_path, http=False)) as first,
            Node.running(machine, Settings(data_dir=tmp_path, http=False, nats_urls=(first.stream.url,))) as second,
        ):
            target = Target(second.stream.publisher, first.store, first.pids())
            replayed = await replay_log(target, machine, survey(machine, permit.LOG))
            wrong = {k: replayed.figures.get(k) for k, v in permit.expected().items() if replayed.figures.get(k) != v}
            assert wrong == {}
            shares = [node.status()["turns_committed"] for node in (first, second)]
            assert min(shares) > 0, f"one node did all the work: {shares}"  # type: ignore[type-var]
            stale = sum(int(str(node.status()["turns_stale"])) for node in (first, second))
            assert stale > 0, "the nodes never met: nothing was shown"
            assert (await verify(first.store)).ok

    asyncio.run(work())
