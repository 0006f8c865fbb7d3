"""Calling one closure: its payload, its view, and its answer as contributions or as a refusal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from relmachine.engine.outputs import Taken, taken
from relmachine.engine.words import detail
from relmachine.errors import Code, RelmError
from relmachine.kernel.candidate import Candidate
from relmachine.kernel.folds import FieldFold
from relmachine.kernel.following import check_follow_ups
from relmachine.kernel.verdicts import GateName, Refusal
from relmachine.kernel.views import seen as seen_by
from relmachine.machine.plan import Plan, StepPlan
from relmachine.machine.view import View


def call(
    plan: Plan, step: StepPlan, candidate: Candidate, seen: Mapping[str, FieldFold], effective: int
) -> Taken | Refusal:
    """What the closure of `step` contributes and proposes.

    `seen` holds the folds of the fields it declares to read and that something contributed to, `effective` masks the
    effective claims. A closure that raises, looks at what it did not declare, or returns something else than its
    fields allow is refused; the same arguments give the same answer.
    """
    closure = cast(Callable[[object, View], object], step.closure)
    try:
        payload = step.payload_model.model_validate_json(candidate.payload)
        values = {name: fold.value() for name, fold in seen.items()}
        found = taken(plan, step, closure(payload, seen_by(plan, step, values, effective)))
        check_follow_ups(candidate, len(found[1]))
        return found
    except RelmError as error:
        return Refusal(error.code, GateName.ENGINE, error.sentence, dict(error.witness))
    except BaseException as error:  # closures run in a worker thread: no cancellation and no signal arrives here
        return Refusal(
            Code.CLOSURE_FAILED,
            GateName.ENGINE,
            f"the closure of {step.name!r} raised: mend it, or the payload, and publish the step under a new id",
            {"error": type(error).__name__, "detail": detail(error)},
        )
