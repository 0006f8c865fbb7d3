"""What a step sees of its thread, and the digest of it: equal digests, equal views.

A run that began on a view may answer as long as the view is still that one, whatever was committed meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from relmachine.algebra.identity import digest
from relmachine.kernel.folds import FieldFold, fold_of
from relmachine.kernel.standing import effective
from relmachine.kernel.state import ThreadState
from relmachine.machine.canonical import canonical_text
from relmachine.machine.plan import Plan, StepPlan
from relmachine.machine.runs import ASSERTED_TOOLS
from relmachine.machine.view import View, visible_claims

Folds = Mapping[str, FieldFold]


def view_of(plan: Plan, step: StepPlan, state: ThreadState, folds: Folds) -> View:
    """The view of `step` on `state`; `folds` has the fields that it reads, but for `once` fields, which are there."""
    values = {name: fold.value() for name, fold in folds.items() if name in step.read_fields}
    for name in step.read_fields & state.values.keys():
        if (fold := fold_of(plan.fields[name], [state.values[name]])) is not None:
            values[name] = fold.value()
    return seen(plan, step, values, effective(plan, state.alive))


def seen(plan: Plan, step: StepPlan, values: Mapping[str, object], effective_claims: int) -> View:
    """The view of `step` on folded values, with the mask of the claims that are effective."""
    claims, visible = _visible(plan, step.index)
    return View(step.name, step.read_fields, values, claims, frozenset(plan.claim_names(visible & effective_claims)))


def view_digest(plan: Plan, step: StepPlan, state: ThreadState, view: View) -> str:
    """Digest of all that the view of `step` on `state` tells, and of what its tools look at beside it."""
    told: dict[str, object] = {
        "values": {name: view[name] for name in view},
        "effective": sorted(view.claims_effective),
    }
    if step.run is not None and not ASSERTED_TOOLS.isdisjoint(step.run.own_tools):
        told["asserted"] = list(plan.claim_names(visible_claims(plan, step) & state.asserted))
    return digest("view", canonical_text(told))


@lru_cache(maxsize=1024)
def _visible(plan: Plan, step: int) -> tuple[frozenset[str], int]:
    mask = visible_claims(plan, plan.steps[step])
    return frozenset(plan.claim_names(mask)), mask
