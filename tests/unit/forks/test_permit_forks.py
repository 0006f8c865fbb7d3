"""Goal: a case split into two continuations and merged is the case again. Method: every case of the permit log, cut at
a random prefix, its rest dealt to two threads at random, through whole rounds on a real store; a planted conflict."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

from relmachine.engine.turn import Case, Engine
from relmachine.gates.admission import AdmissionGate
from relmachine.gates.shape import ShapeGate
from relmachine.ingest.cases import LogStep
from relmachine.kernel.advance import advance
from relmachine.kernel.candidate import Candidate, Message
from relmachine.kernel.limits import Limits
from relmachine.kernel.proposal import Proposal
from relmachine.kernel.state import initial_state
from relmachine.kernel.verdicts import Admitted
from relmachine.machine.plan import Reducer
from relmachine.store import reading
from relmachine.store.sqlite import SqliteStore
from relmachine.store.verify import verify
from tests import permit
from tests.unit.forks.splitting import split
from tests.unit.forks.workshop import Workshop

CONFLICTS = 25


@cache
def originals() -> dict[str, tuple[tuple[LogStep, ...], Proposal]]:
    """By thread: the steps that its turn admits, and the proposal of the whole case."""
    plan, limits = permit.plan(), Limits()
    shape = ShapeGate(plan, limits)
    cases: list[Case] = []
    for thread, steps in permit.cases().items():
        shaped = [shape.check(Message(n, thread, step.step_token, step.body)) for n, step in enumerate(steps, start=1)]
        cases.append(Case(initial_state(plan, thread), [item for item in shaped if isinstance(item, Candidate)]))
    decided = asyncio.run(Engine(plan, AdmissionGate(plan), limits).decide(cases))
    found: dict[str, tuple[tuple[LogStep, ...], Proposal]] = {}
    for case, outcomes in zip(cases, decided, strict=True):
        thread, steps = case.state.thread, permit.cases()[case.state.thread]
        admitted = tuple(steps[item.candidate.sequence - 1] for item in outcomes if isinstance(item, Admitted))
        found[thread] = (admitted, advance(plan, case.state, outcomes))
    return found


async def published(workshop: Workshop, thread: str, steps: Sequence[LogStep]) -> int:
    """Publish log steps on `thread`, whichever case they are of; returns the last sequence."""
    sequence = 0
    for step in steps:
        # The log names the case in `subject`; a fork is another thread.
        envelope = json.loads(step.body)
        body = step.body if step.thread == thread else json.dumps({**envelope, "subject": thread}).encode()
        sequence = workshop.stream.publish(thread, step.step_token, body)
    return sequence


async def split_and_merged(workshop: Workshop, rng: random.Random) -> dict[str, int]:
    """Every case cut in three, published on two threads, and merged; the sequence of each merge by thread."""
    merges: dict[str, int] = {}
    cut: dict[str, tuple[int, tuple[list[LogStep], list[LogStep]]]] = {}
    for thread, (steps, _) in originals().items():
        prefix, one, other = split(permit.plan(), steps, lambda step: step.step_token, rng)
        cut[thread] = await published(workshop, thread, prefix), (one, other)
    await workshop.settle()
    for thread, (at, (one, other)) in cut.items():
        head = await workshop.head(thread) if at else initial_state(permit.plan(), thread).head
        workshop.fork(f"{thread}~2", thread, head, at)
        await published(workshop, thread, one)
        await published(workshop, f"{thread}~2", other)
        merges[thread] = workshop.merge(thread, f"{thread}~2")
    await workshop.settle(rng)
    assert sum(len(other) > 0 for _, (_, other) in cut.values()) > 600, "many merges bring something"
    return merges


@pytest.mark.slow
def test_every_case_split_in_two_and_merged_is_the_case_again(tmp_path: Path) -> None:
    rng, whole = random.Random(20), originals()

    async def work() -> None:
        store = SqliteStore.open(tmp_path / "store.db", permit.plan())
        workshop = Workshop(permit.plan(), store)
        merges = await split_and_merged(workshop, rng)
        assert len(merges) == 1434
        for thread, (_, original) in whole.items():
            outcome = await workshop.outcome(merges[thread])
            assert outcome["outcome"] == "applied", (thread, outcome)
            assert outcome["history"] == original.after.head
            state = (await store.states([thread]))[thread]
            assert (state.section, state.alive, state.values) == (
                original.after.section,
                original.after.alive,
                original.after.values,
            )
        report = await verify(store)
        assert report.fault is None, report.fault
        await store.close()

    asyncio.run(work())


def test_a_planted_once_conflict_is_named_and_nothing_changes(tmp_path: Path) -> None:
    """Cases that write a `once` field: a fork before that writer gets the same step with another value."""
    planted = list(conflicts())
    assert len(planted) >= 25

    async def work() -> None:
        store = SqliteStore.open(tmp_path / "store.db", permit.plan())
        workshop = Workshop(permit.plan(), store)
        merges: dict[str, int] = {}
        for thread, prefix, writer, other in planted:
            at = await published(workshop, thread, prefix)
            await workshop.settle()
            head = await workshop.head(thread) if at else initial_state(permit.plan(), thread).head
            workshop.fork(f"{thread}~2", thread, head, at)
            await published(workshop, thread, [writer])
            await published(workshop, f"{thread}~2", [other])
            await workshop.settle()
            before = await workshop.head(thread), await workshop.head(f"{thread}~2")
            merges[thread] = workshop.merge(thread, f"{thread}~2")
            await workshop.settle()
            assert before == (await workshop.head(thread), await workshop.head(f"{thread}~2")), "nothing changed"
        for thread, sequence in merges.items():
            assert (await workshop.outcome(sequence))["code"] == "obstructed"
            lines = await reading.obstructions(store, thread)
            once = [line for line in lines if line.disagreement == "once"]
            assert once, [line.witness for line in lines]
            sides = (await reading.obstruction(store, once[0].obstruction)).sides
            assert [side.thread for side in sides] == [thread, f"{thread}~2"]
            assert sides[0].value != sides[1].value == '"planted"'
        report = await verify(store)
        assert report.fault is None, report.fault
        await store.close()

    asyncio.run(work())


def conflicts() -> Iterator[tuple[str, list[LogStep], LogStep, LogStep]]:
    """Thread, the steps before a writer of a `once` text field, the writer, and the writer with another value."""
    plan = permit.plan()
    once = {name for name, field in plan.fields.items() if field.reducer is Reducer.ONCE}
    found = 0
    for thread, (steps, proposal) in originals().items():
        for place, (step, event) in enumerate(zip(steps, proposal.events, strict=True)):
            kind = plan.steps[plan.step_index[event.step]]
            for field, member in kind.recorded:
                value = json.loads(event.payload).get(member)
                if field not in once or not isinstance(value, str):
                    continue
                envelope = json.loads(step.body)
                envelope["id"] += "-planted"
                envelope["data"][member] = "planted"
                found += 1
                yield thread, list(steps[:place]), step, LogStep(thread, step.step_token, json.dumps(envelope).encode())
                break
            else:
                continue
            break
        if found == CONFLICTS:
            return
