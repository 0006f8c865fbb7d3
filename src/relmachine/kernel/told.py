"""What an answer says that its step contributes, checked against what the step may say."""

from __future__ import annotations

from relmachine.errors import Code, RelmError
from relmachine.kernel.answer import Answer
from relmachine.kernel.candidate import Candidate, Contributions
from relmachine.kernel.following import check_follow_ups
from relmachine.machine.plan import FieldPlan, Plan, StepPlan
from relmachine.machine.values import text_value, value_text


def told(plan: Plan, candidate: Candidate, answer: Answer) -> Contributions:
    """The contributions of the answer to `candidate`, by field.

    Errors: `output_invalid` for a field that the step does not write, a text that is not the canonical one of a value
    of the field's type, a step proposed that is none of its targets; `limit_exceeded` for more steps than it may
    propose.
    """
    step = plan.steps[plan.step_index[candidate.step]]
    for name, text in answer.contributions.items():
        if name not in step.writes:
            raise _invalid(step, f"writes {name!r} without declaring it", field=name)
        if not _canonical(plan.fields[name], text):
            raise _invalid(step, f"gives {name!r} something that is no {plan.fields[name].type}", field=name)
    for item in answer.follow_ups:
        if item.step not in step.targets:
            raise _invalid(step, f"proposes {item.step!r}, which is none of its targets", target=item.step)
    check_follow_ups(candidate, len(answer.follow_ups))
    return tuple(sorted(answer.contributions.items()))


def _canonical(field: FieldPlan, text: str) -> bool:
    try:
        return value_text(field, text_value(field, text)) == text
    except (RelmError, ValueError, TypeError):
        return False


def _invalid(step: StepPlan, what: str, **witness: object) -> RelmError:
    return RelmError(Code.OUTPUT_INVALID, f"the run of {step.name!r} {what}", step=step.name, **witness)
