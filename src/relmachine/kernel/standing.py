"""From masks to meaning: which claims are effective, which are settled, and the fiber they stand in."""

from __future__ import annotations

from functools import lru_cache

from relmachine.algebra.fibers import Fiber
from relmachine.machine.plan import Plan

_REMEMBERED = 65_536


@lru_cache(maxsize=_REMEMBERED)
def effective(plan: Plan, alive: int) -> int:
    """Claims all of whose ↑ is alive (asserted, not contested since, not vetoed)."""
    mask = 0
    for claim in plan.claims:
        if claim.up & ~alive == 0:
            mask |= 1 << claim.index
    return mask


@lru_cache(maxsize=_REMEMBERED)
def support(plan: Plan, step: int) -> int:
    """Claims that have to be alive for what step number `step` needs to be effective."""
    mask = 0
    for claim in plan.claims:
        if plan.steps[step].needs >> claim.index & 1:
            mask |= claim.up
    return mask


def settled(plan: Plan, alive: int) -> int:
    """Claims in S∩R∩P_t that are effective (math.md section 2)."""
    return effective(plan, alive) & plan.stable_saturation & plan.stable_transfer


@lru_cache(maxsize=_REMEMBERED)
def fiber_of(plan: Plan, asserted: int) -> Fiber:
    """The fiber over the claims in `asserted`, which is closed under ↑."""
    names = plan.claim_names(asserted)
    indices = [plan.claim_index[name] for name in names]
    position = {index: place for place, index in enumerate(indices)}

    def local(mask: int) -> int:
        return sum(1 << position[index] for index in indices if mask >> index & 1)

    return Fiber(
        points=names,
        up=tuple(local(plan.claims[index].up) for index in indices),
        saturation=local(plan.stable_saturation),
        transfer=local(plan.stable_transfer),
    )


@lru_cache(maxsize=_REMEMBERED)
def touches(plan: Plan, step: int) -> tuple[tuple[str, str], ...]:
    """(claim, touch) for every claim that step number `step` asserts, contests or vetoes."""
    kind = plan.steps[step]
    masks = (("assert", kind.asserts), ("contest", kind.contests), ("veto", kind.vetoes))
    return tuple((name, touch) for touch, mask in masks for name in plan.claim_names(mask))
