"""A store in which every relation that turns write has rows: threads of the permit log, and two that were merged."""

from __future__ import annotations

import json
from itertools import islice

from relmachine.ingest.cases import LogStep
from relmachine.store import reading
from relmachine.store.port import Committed, Store
from tests import permit
from tests.mutations import real
from tests.unit.forks.workshop import Workshop

THREADS = 40


async def fill(store: Store) -> None:
    """Commit turns of the permit log, a few that refuse; then a fork, what stood in the way of its merge, the merge."""
    turns = [turn for turn in real.turns() if turn.rejections][:3]
    turns += [turn for turn in real.turns() if turn not in turns][:THREADS]
    outcomes = await store.commit(turns)
    assert all(isinstance(outcome, Committed) for outcome in outcomes)
    await _join(Workshop(permit.plan(), store))


async def _join(workshop: Workshop) -> None:
    first, second = islice(next(iter(permit.cases().values())), 2)
    at = _publish(workshop, first, "draft", "")
    await workshop.settle()
    workshop.fork("other", "draft", await workshop.head("draft"), at)
    for thread in ("draft", "other"):
        _publish(workshop, second, thread, thread)
    workshop.merge("draft", "other")
    await workshop.settle()
    (line, *_) = await reading.obstructions(workshop.store)
    workshop.resolve("draft", line.obstruction, "draft")
    merged = workshop.merge("draft", "other")
    await workshop.settle()
    assert (await workshop.outcome(merged))["outcome"] == "applied"


def _publish(workshop: Workshop, step: LogStep, thread: str, suffix: str) -> int:
    """A step of the log on `thread`, under a key of its own."""
    envelope = json.loads(step.body)
    envelope |= {"subject": thread, "id": f"{envelope['id']}{suffix}"}
    return workshop.stream.publish(thread, step.step_token, json.dumps(envelope).encode())
