"""Confluence: swapping independent neighbours changes no decision, event id, history, fiber, section or settled set.

Method: 10,000 seeded random machines, built through the public API; on each a random thread, and every order that
swaps two neighbours whose steps the machine calls independent. The real admission gate decides all orders of a machine
in one solve, the real kernel advances them, and everything that is a function of the history must come out equal. The
same check must fail once the dependence is derived from direct prerequisites only. Machines with random laws of their
author's own are decided by the real engine, which asks the real process; there the check must fail once what the laws
read makes nothing dependent.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random

import pytest

from relmachine.algebra.identity import set_digest
from relmachine.engine.turn import Case, Engine
from relmachine.gates.admission import AdmissionGate
from relmachine.gates.own_law_process import LawProcess
from relmachine.gates.own_laws import OwnLaws
from relmachine.gates.port import LawCase
from relmachine.kernel.advance import advance
from relmachine.kernel.limits import Limits
from relmachine.kernel.standing import fiber_of, settled
from relmachine.kernel.state import ThreadState, initial_state
from relmachine.kernel.verdicts import Admitted, Refusal, Refused
from relmachine.machine import footprint
from relmachine.machine.declaration import Claim
from relmachine.machine.own_law import principals_read
from relmachine.machine.plan import Plan, Reducer
from tests.unit.gates.machines_at_random import Published, longest_chain, plan_and_thread
from tests.unit.gates.own_laws_at_random import lawful_plan_and_thread

MACHINES_PER_SEED = 2500
LAWFUL_MACHINES_PER_SEED = 150


@dataclass(frozen=True)
class Outcome:
    """All that must not depend on the order; `decisions` by step key: the event id, or the refusal."""

    decisions: Mapping[str, str | Refusal]
    history: str
    tiers: Mapping[str, int]
    fiber: str
    section: str
    settled: tuple[str, ...]
    once: Mapping[str, str]


Decide = Callable[[Plan, Sequence[Sequence[Published]]], list[Outcome]]
"""What becomes of each order of one thread's steps."""


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_swapping_independent_neighbours_changes_nothing(seed: int) -> None:
    seen: Counter[str] = Counter()
    rng = Random(seed)
    while seen["machines"] < MACHINES_PER_SEED:
        machine_seed = rng.getrandbits(32)
        plan, thread = plan_and_thread(machine_seed)
        if plan is None:
            continue
        disagreement = first_disagreement(plan, thread, seen)
        assert disagreement is None, f"machine seed {machine_seed}: {disagreement}"
    print(dict(seen))
    assert seen["swaps"] > MACHINES_PER_SEED
    assert seen["chains of three"] > MACHINES_PER_SEED // 3
    for kind in ("admitted", "contests", "vetoes", "requires", "contest_absent", "veto_too_late", "once", "settled"):
        assert seen[kind] > MACHINES_PER_SEED // 100, f"the machines hardly ever show {kind}"


def test_a_dependence_by_direct_prerequisites_only_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted flaw: footprints that forget what the prerequisites rest on."""

    def direct(claims: Mapping[str, Claim]) -> dict[str, frozenset[str]]:
        return {name: frozenset(claim.requires) for name, claim in claims.items()}

    monkeypatch.setattr(footprint, "rests_on", direct)
    rng, seen = Random(0), Counter[str]()
    while seen["machines"] < MACHINES_PER_SEED:
        plan, thread = plan_and_thread(rng.getrandbits(32))
        if plan is not None and first_disagreement(plan, thread, seen) is not None:
            assert longest_chain(plan) >= 3
            return
    pytest.fail("no random machine told the planted dependence from the true one")


@pytest.fixture(scope="module")
def process() -> Iterator[LawProcess]:
    one = LawProcess(Limits())
    yield one
    one.close()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_laws_of_the_authors_own_are_the_same_in_every_order(seed: int, process: LawProcess) -> None:
    seen: Counter[str] = Counter()
    rng = Random(seed)
    while seen["machines"] < LAWFUL_MACHINES_PER_SEED:
        machine_seed = rng.getrandbits(32)
        plan, thread = lawful_plan_and_thread(machine_seed)
        if plan is not None:
            disagreement = first_disagreement(plan, thread, seen, by_the_engine(process))
            assert disagreement is None, f"machine seed {machine_seed}: {disagreement}"
    print(dict(seen))
    assert seen["swaps"] > LAWFUL_MACHINES_PER_SEED // 2
    for kind in ("admitted", "contests", "vetoes", "requires", "once", "settled", "law_broken"):
        assert seen[kind] > LAWFUL_MACHINES_PER_SEED // 100, f"the machines hardly ever show {kind}"


def test_a_law_that_reads_without_dependence_is_found(monkeypatch: pytest.MonkeyPatch, process: LawProcess) -> None:
    """The planted flaw: footprints that forget what the laws read."""
    monkeypatch.setattr(footprint, "law_reads", lambda *_: footprint.LawReads())
    rng, seen = Random(0), Counter[str]()
    while seen["machines"] < LAWFUL_MACHINES_PER_SEED:
        plan, thread = lawful_plan_and_thread(rng.getrandbits(32))
        if plan is not None and first_disagreement(plan, thread, seen, by_the_engine(process)) is not None:
            return
    pytest.fail("no random machine told the planted dependence from the true one")


def by_the_engine(process: LawProcess) -> Decide:
    """Orders decided by the engine, which asks admission and then the laws of the author's own."""

    def outcomes_of(plan: Plan, orders: Sequence[Sequence[Published]]) -> list[Outcome]:
        start, named = initial_state(plan, "t"), principals_read(plan.own_laws)
        cases = [
            Case(start, [step.candidate(sequence, step.step in named) for sequence, step in enumerate(order, 1)])
            for order in orders
        ]
        engine = Engine(plan, AdmissionGate(plan), Limits(), OwnLaws(plan, Limits(), process))
        return [outcome(plan, start, decided) for decided in asyncio.run(engine.decide(cases))]

    return outcomes_of


def first_disagreement(
    plan: Plan, thread: Sequence[Published], seen: Counter[str], decide: Decide | None = None
) -> str | None:
    """Which swap changes the outcome, and from what to what; counts in `seen` what the machine showed."""
    swaps = [place for place, pair in enumerate(pairwise(thread)) if independent(plan, *pair)]
    orders = [list(thread), *(swapped(thread, place) for place in swaps)]
    base, *others = (decide or outcomes)(plan, orders)
    count(plan, thread, base, len(swaps), seen)
    for place, other in zip(swaps, others, strict=True):
        if other != base:
            names = [step.step for step in thread]
            return f"swapping places {place} and {place + 1} of {names} turns {base} into {other}"
    return None


def independent(plan: Plan, one: Published, other: Published) -> bool:
    return not plan.dependent[plan.step_index[one.step]] >> plan.step_index[other.step] & 1


def swapped(thread: Sequence[Published], place: int) -> list[Published]:
    return [*thread[:place], thread[place + 1], thread[place], *thread[place + 2 :]]


def outcomes(plan: Plan, orders: Sequence[Sequence[Published]]) -> list[Outcome]:
    """What becomes of each order: one case an order, all from the same start."""
    once = {name for name, field in plan.fields.items() if field.reducer is Reducer.ONCE}
    start = initial_state(plan, "t")
    cases = [
        LawCase(
            start,
            [step.candidate(sequence) for sequence, step in enumerate(order, 1)],
            [{name: value for name, value in step.contributions if name in once} for step in order],
        )
        for order in orders
    ]
    verdicts = AdmissionGate(plan).decide(cases)
    return [
        outcome(
            plan,
            start,
            [
                Admitted(candidate, candidate.recorded) if refusal is None else Refused(candidate, refusal)
                for candidate, refusal in zip(case.steps, refusals, strict=True)
            ],
        )
        for case, refusals in zip(cases, verdicts, strict=True)
    ]


def outcome(plan: Plan, start: ThreadState, decided: Sequence[Admitted | Refused]) -> Outcome:
    proposal = advance(plan, start, decided)
    refused = {item.candidate.step_key: item.refusal for item in decided if isinstance(item, Refused)}
    after = proposal.after
    return Outcome(
        decisions=refused | {event.step_key: event.event_id for event in proposal.events},
        history=after.head,
        tiers={event.event_id: event.tier for event in proposal.events},
        fiber=fiber_of(plan, after.asserted).fiber_id,
        section=set_digest(after.section),
        settled=plan.claim_names(settled(plan, after.alive)),
        once=after.values,
    )


def count(plan: Plan, thread: Sequence[Published], base: Outcome, swaps: int, seen: Counter[str]) -> None:
    seen["machines"] += 1
    seen["swaps"] += swaps
    seen["chains of three"] += longest_chain(plan) >= 3
    seen["settled"] += len(base.settled)
    for step in thread:
        decision = base.decisions[step.key]
        if isinstance(decision, Refusal):
            seen[decision.code] += 1
        else:
            declared = plan.steps[plan.step_index[step.step]]
            seen["admitted"] += 1
            seen["contests"] += declared.contests > 0
            seen["vetoes"] += declared.vetoes > 0
