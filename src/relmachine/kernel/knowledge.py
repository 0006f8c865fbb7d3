"""Computing with histories and fibers for whoever asks, people and models alike: normal form, elements of a fiber."""

from __future__ import annotations

from collections.abc import Sequence

from relmachine.algebra.fibers import Fiber
from relmachine.algebra.traces import normal_form, tiers
from relmachine.errors import Code, RelmError
from relmachine.machine.plan import Plan


def normal_form_of(plan: Plan, steps: Sequence[str]) -> str:
    """The Foata normal form of a sequence of step names, `(a b)(c)`. Errors: `unknown_step`, with those there are."""
    for place, name in enumerate(steps):
        if name not in plan.step_index:
            sentence = f"machine {plan.machine!r} has no step {name!r}: use the names in the witness"
            raise RelmError(Code.UNKNOWN_STEP, sentence, step=name, at=place, steps=sorted(plan.step_index))
    indices = [plan.step_index[name] for name in steps]
    names = [step.name for step in plan.steps]
    return normal_form(names, indices, tiers(plan.dependent, indices))


def element_of(fiber: Fiber, claims: Sequence[str]) -> int:
    """The element that holds `claims`, as a mask over the fiber's points.

    Errors: `query_refused` for a claim that is not asserted in the history, and for claims that lack what they rest on.
    """
    foreign = sorted(set(claims) - set(fiber.points))
    if foreign:
        sentence = "take the element's claims from those asserted in the history: the witness names them"
        raise RelmError(Code.QUERY_REFUSED, sentence, not_asserted=foreign, asserted=sorted(fiber.points))
    mask = fiber.mask(*claims)
    missing = fiber.poset.up_closure(mask) & ~mask
    if missing:
        sentence = "an element contains all that its claims rest on: add the missing claims"
        raise RelmError(Code.QUERY_REFUSED, sentence, missing=list(fiber.names(missing)), element=sorted(set(claims)))
    return mask
