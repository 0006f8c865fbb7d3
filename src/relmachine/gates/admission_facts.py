"""The facts of `constraints/admission.lp` about a batch of cases. Nothing is decided here.

Linear in the steps: for every claim and field the writer keeps the last step that touched it, so a fact points to one
earlier step instead of being compared with all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from relmachine.gates.port import LawCase
from relmachine.machine.plan import Plan, StepPlan

NEVER = -1
"""Number of no step: where a value has not been offered before."""


@dataclass(frozen=True, slots=True)
class StepClaims:
    """What a step type looks at and touches, as claim numbers. `blockers` are the claims that make its veto late."""

    looks: tuple[int, ...]
    shuns: tuple[int, ...]
    asserts: tuple[int, ...]
    contests: tuple[int, ...]
    vetoes: tuple[int, ...]
    blockers: tuple[int, ...]


def step_claims(plan: Plan, step: StepPlan) -> StepClaims:
    """What `step` looks at and touches: looks are ↑ of what it needs, of which only vetoable claims can be dead.

    R holds nothing that can be vetoed, so a blocker is never the vetoed claim itself.
    """
    looks = 0
    for claim in plan.claims:
        if step.needs >> claim.index & 1:
            looks |= claim.up
    final = (claim for claim in plan.claims if plan.stable_transfer >> claim.index & 1)
    blockers = sum(1 << claim.index for claim in final if claim.up & step.vetoes)
    masks = (looks, looks & plan.vetoable, step.asserts, step.contests, step.vetoes, blockers)
    return StepClaims(*(_members(mask) for mask in masks))


def _members(mask: int) -> tuple[int, ...]:
    return tuple(index for index in range(mask.bit_length()) if mask >> index & 1)


class FactWriter:
    """Writes the facts of cases one after the other; steps are numbered through, as the program's text explains."""

    def __init__(self, claims_by_step: Mapping[str, StepClaims], fields: Mapping[str, int]) -> None:
        self._claims_by_step, self._fields = claims_by_step, fields
        self._next = 0
        self._lines: list[str] = []

    def text(self) -> str:
        """The facts written so far, as a program."""
        return "".join(self._lines)

    def case(self, case: LawCase) -> int:
        """Write a case; returns its start: its step at place i (from 0) has the number start + 1 + i."""
        start = self._next
        self._next += 1 + len(case.steps)
        _CaseWriter(self._lines, start, case).write(self._claims_by_step, self._fields)
        return start


class _CaseWriter:
    """Facts of one thread's steps: the last step that touched each claim, vetoed it, or offered a value."""

    def __init__(self, lines: list[str], start: int, case: LawCase) -> None:
        self._lines, self._start, self._case = lines, start, case
        self._touched: dict[int, int] = {}
        self._vetoed: dict[int, int] = {}
        self._offered: dict[str, int] = {}
        self._same: dict[tuple[str, str], int] = {}

    def write(self, claims_by_step: Mapping[str, StepClaims], fields: Mapping[str, int]) -> None:
        """The facts of every step, in order; a withdrawn step has none."""
        case, number = self._case, self._start
        for candidate, values in zip(case.steps, case.once_values, strict=True):
            number += 1
            if candidate.sequence in case.withdrawn:
                continue
            self._claims(number, claims_by_step[candidate.step])
            for field, value in values.items():
                self._offer(number, field, fields[field], value)

    def _claims(self, number: int, step: StepClaims) -> None:
        lines, touched, vetoed = self._lines, self._touched, self._vetoed
        for claim in step.looks:
            place = touched.get(claim)
            lines.append(f"need({number},{claim},{self._first_touch(claim) if place is None else place}).")
        for claim in step.shuns:
            place = vetoed.get(claim)
            lines.append(f"shun({number},{claim},{self._first_veto(claim) if place is None else place}).")
        for claim in step.blockers:
            place = touched.get(claim)
            lines.append(f"late({number},{claim},{self._first_touch(claim) if place is None else place}).")
        for claim in step.asserts:
            place = touched.get(claim)
            lines.append(f"put({number},{claim},{self._first_touch(claim) if place is None else place}).")
            touched[claim] = number
        for claim in step.contests:
            place = touched.get(claim)
            lines.append(f"contest({number},{claim},{self._first_touch(claim) if place is None else place}).")
            touched[claim] = number
        for claim in step.vetoes:
            place = vetoed.get(claim)
            lines.append(f"veto({number},{claim},{self._first_veto(claim) if place is None else place}).")
            vetoed[claim] = number

    def _first_touch(self, claim: int) -> int:
        """The start, after saying what holds of `claim` there."""
        state, start = self._case.state, self._start
        if state.standing >> claim & 1:
            self._lines.append(f"standing({claim},{start}).")
        if state.asserted >> claim & 1:
            self._lines.append(f"ever({claim},{start}).")
        self._touched[claim] = start
        return start

    def _first_veto(self, claim: int) -> int:
        if self._case.state.vetoed >> claim & 1:
            self._lines.append(f"dead({claim},{self._start}).")
        self._vetoed[claim] = self._start
        return self._start

    def _offer(self, number: int, name: str, field: int, value: str) -> None:
        before = self._offered.get(name)
        if before is None:
            before = self._first_offer(name, field)
        same = self._same.get((name, value), NEVER)
        self._lines.append(f"offer({number},{field},{before},{same}).")
        self._offered[name] = self._same[name, value] = number

    def _first_offer(self, name: str, field: int) -> int:
        value = self._case.state.values.get(name)
        if value is not None:
            self._same[name, value] = self._start
            self._lines.append(f"full({field},{self._start}).held({field},{self._start}).")
        return self._start
