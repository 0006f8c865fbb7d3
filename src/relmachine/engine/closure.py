"""Calling one closure: its payload, its view, and its answer as contributions or as a refusal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import cast

import orjson

from relmachine.algebra.reducers import fold, parse
from relmachine.errors import Code, RelmError
from relmachine.kernel.advance import Contributions
from relmachine.kernel.envelope import Candidate
from relmachine.kernel.verdicts import GateName, Refusal
from relmachine.machine.plan import FieldPlan, Plan, StepPlan
from relmachine.machine.section import contributions
from relmachine.machine.values import text_value
from relmachine.machine.view import View, visible_claims


def call(
    plan: Plan, step: StepPlan, candidate: Candidate, seen: Mapping[str, Sequence[str]], effective: int
) -> Contributions | Refusal:
    """What the closure of `step` contributes.

    `seen` holds the canonical JSON of the contributions to the fields it declares to read, `effective` masks the
    effective claims. A closure that raises, looks at what it did not declare, or returns something else than its
    fields allow is refused; the same arguments give the same answer.
    """
    closure = cast(Callable[[object, View], object], step.closure)
    try:
        payload = step.payload_model.model_validate_json(candidate.payload)
        values = {name: _folded(plan.fields[name], texts) for name, texts in seen.items() if texts}
        claims, visible = _visible(plan, step.index)
        view = View(step.name, step.read_fields, values, claims, frozenset(plan.claim_names(visible & effective)))
        return contributions(plan, step, closure(payload, view))
    except RelmError as error:
        return Refusal(error.code, GateName.ENGINE, error.sentence, dict(error.witness))
    except (Exception, SystemExit) as error:
        return Refusal(
            Code.CLOSURE_FAILED,
            GateName.ENGINE,
            f"the closure of {step.name!r} raised: mend it, or the payload, and publish the step under a new id",
            {"error": type(error).__name__, "detail": _detail(error)},
        )


def _detail(error: BaseException) -> str:
    """What the error says, as text that can be stored."""
    try:
        return str(error)[:500].encode("utf-8", "replace").decode()
    except Exception:
        return ""


def _folded(field: FieldPlan, texts: Sequence[str]) -> object:
    """The Python value of a field; a folded list has Python members."""
    folded = fold(field.reducer, [parse(text) for text in texts])
    if isinstance(folded, list):
        return [text_value(field, orjson.dumps(item).decode()) for item in folded]
    return text_value(field, orjson.dumps(folded).decode())


@lru_cache(maxsize=1024)
def _visible(plan: Plan, step: int) -> tuple[frozenset[str], int]:
    mask = visible_claims(plan, plan.steps[step])
    return frozenset(plan.claim_names(mask)), mask
