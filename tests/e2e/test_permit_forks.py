"""Goal: cases of the real log can be forked and merged on a running node. Method: some dozens of cases, cut by random,
published through the stream on two threads each, merged by asking the node; each is the case again."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from relmachine.ingest.cases import LogStep
from relmachine.kernel.limits import Limits
from relmachine.node import Node, Settings
from relmachine.observe import forking
from relmachine.observe.answers import Asked
from relmachine.observe.forking import Asker
from relmachine.store.verify import verify
from relmachine.stream.port import Outgoing
from relmachine.stream.publisher import message_id
from tests import permit
from tests.unit.forks.splitting import split
from tests.unit.forks.test_permit_forks import originals

pytestmark = pytest.mark.process

CASES = 36


async def publish(node: Node, thread: str, steps: Sequence[LogStep]) -> None:
    """Publish log steps on `thread` and wait until the last is decided."""
    bodies = [json.dumps({**json.loads(step.body), "subject": thread}).encode() for step in steps]
    outgoing = [
        Outgoing(thread, step.step_token, body, message_id(thread, body))
        for step, body in zip(steps, bodies, strict=True)
    ]
    for published in (await node.stream.publisher.publish(outgoing))[-1:]:
        assert await node.outcome(thread, published.sequence, 30.0) is not None


def test_cases_split_in_two_and_merged_are_the_cases_again(tmp_path: Path) -> None:
    chosen = random.Random(7).sample(sorted(originals().items()), CASES)

    async def one(node: Node, thread: str, steps: Sequence[LogStep], history: str) -> None:
        rng, asker = random.Random(thread), Asker("test")
        prefix, ours, theirs = split(permit.plan(), steps, lambda step: step.step_token, rng)
        if not prefix:
            prefix, ours = list(ours), []
            if not prefix:
                prefix, theirs = list(theirs), []
        await publish(node, thread, prefix)
        forked = await forking.fork(node, Limits(), asker, thread, None, None, 30.0)
        assert isinstance(forked, Asked)
        fork = forked.accepted.thread
        await publish(node, thread, ours)
        await publish(node, fork, theirs)
        merged = await forking.merge(node, Limits(), asker, thread, fork, 30.0)
        assert isinstance(merged, Asked), merged
        assert merged.applied is not None
        assert merged.applied.history == history

    async def work() -> None:
        settings = Settings(data_dir=tmp_path, http=False)
        async with Node.running(permit.machine(), settings) as node:
            for start in range(0, CASES, 12):
                part = chosen[start : start + 12]
                await asyncio.gather(*(one(node, thread, steps, made.after.head) for thread, (steps, made) in part))
            report = await verify(node.store)
            assert report.fault is None, report.fault

    asyncio.run(work())
