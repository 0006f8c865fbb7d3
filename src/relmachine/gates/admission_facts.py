"""The facts of `constraints/admission.lp` about a batch of cases. Nothing is decided here.

Linear in the steps: for every claim and field the writer keeps the last step that touched it, so a fact points to one
earlier step instead of being compared with all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from relmachine.gates.port import LawCase
from relmachine.machine.plan import Plan, StepPlan


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a step type looks at and touches, as claim numbers. `blockers` are the claims that make its veto late."""

    looks: tuple[int, ...]
    shuns: tuple[int, ...]
    asserts: tuple[int, ...]
    contests: tuple[int, ...]
    vetoes: tuple[int, ...]
    blockers: tuple[int, ...]


def footprint(plan: Plan, step: StepPlan) -> Footprint:
    """The footprint of `step`: looks are ↑ of what it needs, of which only vetoable claims can be dead."""
    looks = 0
    for claim in plan.claims:
        if step.needs >> claim.index & 1:
            looks |= claim.up
    final = (claim for claim in plan.claims if plan.stable_transfer >> claim.index & 1)
    blockers = sum(1 << claim.index for claim in final if claim.up & ~(1 << claim.index) & step.vetoes)
    masks = (looks, looks & plan.vetoable, step.asserts, step.contests, step.vetoes, blockers)
    return Footprint(*(_members(mask) for mask in masks))


def _members(mask: int) -> tuple[int, ...]:
    return tuple(index for index in range(mask.bit_length()) if mask >> index & 1)
