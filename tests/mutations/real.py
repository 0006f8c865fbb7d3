"""What the permit log leads to, for mutants of it: every fiber, pair of fibers, turn, history and section."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache

from relmachine.algebra.fibers import Fiber
from relmachine.gates.admission import AdmissionGate
from relmachine.gates.constraint_tables import FiberTables, OrderTable, fiber_tables
from relmachine.gates.port import LawCase
from relmachine.gates.shape import ShapeGate
from relmachine.kernel.advance import advance
from relmachine.kernel.candidate import Candidate, Message
from relmachine.kernel.limits import Limits
from relmachine.kernel.proposal import Proposal
from relmachine.kernel.standing import fiber_of
from relmachine.kernel.state import initial_state
from relmachine.kernel.verdicts import Admitted, Decided, Refused
from relmachine.machine.plan import Plan, Reducer
from tests import permit

ELEMENTS_MAX = 64
"""Fibers up to this size have tables."""

Steps = Sequence[Candidate]


@cache
def threads() -> Mapping[str, Steps]:
    """The log's steps by thread, as gate 1 understands them."""
    shape = ShapeGate(permit.plan(), Limits())
    found: dict[str, list[Candidate]] = {}
    for thread, steps in permit.cases().items():
        for sequence, step in enumerate(steps, 1):
            candidate = shape.check(Message(sequence, thread, step.step_token, step.body))
            assert isinstance(candidate, Candidate)
            found.setdefault(thread, []).append(candidate)
    return found


def once_values(plan: Plan, step: Candidate) -> dict[str, str]:
    """What the step offers to `once` fields."""
    return {name: text for name, text in step.recorded if plan.fields[name].reducer is Reducer.ONCE}


def law_case(plan: Plan, thread: str, steps: Steps) -> LawCase:
    """The thread's steps from its beginning."""
    return LawCase(initial_state(plan, thread), steps, [once_values(plan, step) for step in steps])


@cache
def turns() -> tuple[Proposal, ...]:
    """One turn for each thread, over all its steps."""
    plan = permit.plan()
    cases = [law_case(plan, thread, steps) for thread, steps in threads().items()]
    found: list[Proposal] = []
    for case, verdicts in zip(cases, AdmissionGate(plan).decide(cases), strict=True):
        decided: list[Decided] = [
            Admitted(step, step.recorded) if verdict is None else Refused(step, verdict)
            for step, verdict in zip(case.steps, verdicts, strict=True)
        ]
        found.append(advance(plan, case.state, decided))
    return tuple(found)


@cache
def fibers() -> tuple[Fiber, ...]:
    """Every fiber that a thread goes through, by size and id."""
    masks = {mask for turn in turns() for mask in turn.fibers}
    found = [fiber_of(permit.plan(), mask) for mask in masks]
    return tuple(sorted(found, key=lambda fiber: (len(fiber.points), fiber.fiber_id)))


@cache
def pairs() -> tuple[tuple[Fiber, Fiber], ...]:
    """The fibers after and before every event that changes the fiber."""
    found = {
        (after, before)
        for turn in turns()
        for before, after in zip((0, *turn.fibers), turn.fibers, strict=False)
        if before != after
    }
    return tuple((fiber_of(permit.plan(), later), fiber_of(permit.plan(), earlier)) for later, earlier in sorted(found))


@cache
def tables(elements_max: int = ELEMENTS_MAX) -> Mapping[str, FiberTables]:
    """The tables of the fibers that have at most `elements_max` elements, by fiber id."""
    bottom = fiber_of(permit.plan(), 0)
    made = {fiber.fiber_id: fiber_tables(fiber, elements_max) for fiber in (bottom, *fibers())}
    return {fiber_id: table for fiber_id, table in made.items() if table is not None}


def order_of(turn: Proposal) -> OrderTable:
    """The histories that a turn goes through, and which is a prefix of which, by the events each of them holds."""
    held: list[frozenset[str]] = [frozenset()]
    for event in turn.events:
        held.append(held[-1] | {event.event_id})
    names = (turn.before.head, *(history.history_id for history in turn.histories))
    pairs = {(i, j) for i, one in enumerate(held) for j, other in enumerate(held) if one <= other}
    return OrderTable(names, frozenset(pairs))


def pasts(turn: Proposal) -> dict[str, frozenset[str]]:
    """For each event of a thread's first turn, the events at or below it."""
    found: dict[str, frozenset[str]] = {}
    for event in turn.events:
        above = frozenset[str]().union(*(found[parent] for parent in json.loads(event.parents)))
        found[event.event_id] = above | {event.event_id}
    return found


def section_of(turn: Proposal) -> dict[tuple[str, str], str]:
    """The section at the end of a thread's first turn."""
    return {(row.event_id, row.field): row.value for row in turn.contributions}
