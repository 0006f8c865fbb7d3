"""Goal: the order of independent steps never shows in the real log. Method: 20 seeded shuffles that swap independent
neighbours and keep the step keys, decided by the real gates, engine and kernel; one of them through a whole node."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
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
from relmachine.kernel.standing import settled
from relmachine.kernel.state import initial_state
from relmachine.node import Node, Settings
from relmachine.stream.port import Outgoing
from tests import permit

Summary = tuple[str, str, frozenset[str], frozenset[tuple[str, str]]]
"""History id, section digest, settled claims, and the outcome of each step key."""

SWAPS_PER_STEP = 3


def shuffled(steps: Sequence[LogStep], rng: random.Random) -> list[LogStep]:
    """The steps after many swaps of independent neighbours."""
    plan, order = permit.plan(), list(steps)
    for _ in range(SWAPS_PER_STEP * len(order)):
        place = rng.randrange(len(order) - 1) if len(order) > 1 else 0
        pair = order[place : place + 2]
        if len(pair) == 2 and independent(plan.step_index[pair[0].step_token], plan.step_index[pair[1].step_token]):
            order[place : place + 2] = pair[::-1]
    return order


def independent(first: int, second: int) -> bool:
    return not permit.plan().dependent[first] >> second & 1


def decide(orders: Mapping[str, Sequence[LogStep]]) -> dict[str, Summary]:
    """What becomes of every case when its steps come in the order given."""
    plan, limits = permit.plan(), Limits()
    shape = ShapeGate(plan, limits)
    cases: list[Case] = []
    for thread, steps in orders.items():
        shaped = [shape.check(Message(n, thread, step.step_token, step.body)) for n, step in enumerate(steps, start=1)]
        cases.append(Case(initial_state(plan, thread), [item for item in shaped if isinstance(item, Candidate)]))
    decided = asyncio.run(Engine(plan, AdmissionGate(plan), limits).decide(cases))
    return {
        case.state.thread: summary(advance(plan, case.state, outcome))
        for case, outcome in zip(cases, decided, strict=True)
    }


def summary(proposal: Proposal) -> Summary:
    plan = permit.plan()
    refused = {(row.step_key, row.code) for row in proposal.rejections}
    committed = {(row.step_key, row.event_id) for row in proposal.events}
    return (
        proposal.after.head,
        proposal.histories[-1].section_digest,
        frozenset(plan.claim_names(settled(plan, proposal.after.alive))),
        frozenset(refused | committed),
    )


@cache
def base() -> dict[str, Summary]:
    return decide(permit.cases())


@pytest.mark.parametrize("seed", range(20))
def test_a_shuffle_of_independent_neighbours_is_the_same_history(seed: int) -> None:
    rng = random.Random(seed)
    orders = {thread: shuffled(steps, rng) for thread, steps in permit.cases().items()}
    moved = sum(list(steps) != orders[thread] for thread, steps in permit.cases().items())
    assert moved > 500, "the shuffle moved too little to show anything"
    different = [thread for thread, found in decide(orders).items() if found != base()[thread]]
    assert different == [], f"seed {seed}"


def test_a_swap_of_dependent_neighbours_is_another_history() -> None:
    """The comparison above can fail: exchanging dependent neighbours shows."""
    thread, steps = next((t, s) for t, s in permit.cases().items() if len(s) > 4)
    plan = permit.plan()
    place = next(
        n
        for n in range(1, len(steps) - 1)
        if not independent(plan.step_index[steps[n].step_token], plan.step_index[steps[n + 1].step_token])
    )
    swapped = [*steps[:place], steps[place + 1], steps[place], *steps[place + 2 :]]
    assert decide({thread: swapped})[thread] != base()[thread]


@pytest.mark.process
def test_a_shuffle_through_a_whole_node(tmp_path: Path) -> None:
    rng = random.Random(99)
    threads = [thread for thread, steps in permit.cases().items() if len(steps) > 5][:200]
    orders = {thread: shuffled(permit.cases()[thread], rng) for thread in threads}

    async def work() -> dict[str, str]:
        async with Node.running(permit.machine(), Settings(data_dir=tmp_path, http=False)) as node:
            outgoing = [
                Outgoing(thread, step.step_token, step.body, f"{thread}/{place}")
                for thread, steps in orders.items()
                for place, step in enumerate(steps)
            ]
            published = await node.stream.publisher.publish(outgoing)
            last = {item.thread: answer.sequence for item, answer in zip(outgoing, published, strict=True)}
            for thread, sequence in last.items():
                assert await node.outcome(thread, sequence, 30) is not None
            heads = await node.store.select("SELECT thread, head FROM threads")
            return {str(thread): str(head) for thread, head in heads.rows}

    assert asyncio.run(work()) == {thread: base()[thread][0] for thread in threads}
