"""What a closure returned, as contributions and as follow-up steps: the one place where either is understood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from langgraph.graph import END
from langgraph.types import Command, Send
from pydantic import BaseModel, ValidationError

from relmachine.engine.words import problems
from relmachine.errors import Code, RelmError
from relmachine.kernel.answer import FOLLOW_UP_BYTES_MAX, FOLLOW_UPS_MAX, FollowUp
from relmachine.kernel.candidate import Contributions
from relmachine.machine.canonical import canonical_text
from relmachine.machine.plan import Kind, Plan, StepPlan
from relmachine.machine.section import Section, contributions

Taken = tuple[Contributions, tuple[FollowUp, ...]]


def taken(plan: Plan, step: StepPlan, output: object) -> Taken:
    """Contributions, sorted by field, and follow-ups, in the order given, of what the closure of `step` returned.

    That is a `Section`, or for a procedure a LangGraph `Command`: `update` holds its contributions, `goto` what it
    proposes. Errors: `output_invalid`.
    """
    section = _section(step, cast(Command[str], output)) if isinstance(output, Command) else output
    written = contributions(plan, step, section)
    return written, bounded(step, [proposed(plan, step, *pair) for pair in cast(Section, section).proposes])


def mapped(plan: Plan, step: StepPlan, members: tuple[tuple[str, str], ...], output: BaseModel) -> Taken:
    """The same of a model's structured answer: `members` are (field, member); a procedure's `goto` names its targets.

    Errors: `output_invalid`.
    """
    values = output.model_dump(by_alias=True)
    goto = values.get("goto") if step.kind is Kind.PROCEDURE else None
    propose: list[tuple[str, Mapping[str, object]]] = [(name, {}) for name in _names(goto)]
    return taken(plan, step, Section({field: values[member] for field, member in members}, propose=propose))


def proposed(plan: Plan, step: StepPlan, name: object, payload: Mapping[str, object]) -> FollowUp:
    """The follow-up `name` with `payload`, one of the targets of `step`.

    Errors: `output_invalid` for any other step, and for a payload that it does not take.
    """
    if not isinstance(name, str) or name not in step.targets:
        sentence = f"step {step.name!r} proposes what it does not declare: take one of the targets in the witness"
        raise RelmError(Code.OUTPUT_INVALID, sentence, step=step.name, found=str(name)[:256], targets=_targets(step))
    target = plan.steps[plan.step_index[name]]
    try:
        data = canonical_text(dict(payload))
        target.payload_model.model_validate_json(data, strict=True)
    except ValidationError as error:
        sentence = f"step {name!r} does not take this payload: {problems(error)}"
        raise RelmError(Code.OUTPUT_INVALID, sentence[:1000], step=step.name, target=name) from error
    except RelmError as error:
        sentence = f"the payload proposed for {name!r}: {error.sentence}"
        raise RelmError(Code.OUTPUT_INVALID, sentence, step=step.name, target=name) from error
    if len(data.encode()) > FOLLOW_UP_BYTES_MAX:
        sentence = f"the payload proposed for {name!r} has more than {FOLLOW_UP_BYTES_MAX} bytes: propose less"
        raise RelmError(Code.OUTPUT_INVALID, sentence, step=step.name, follow_up_bytes_max=FOLLOW_UP_BYTES_MAX)
    return FollowUp(step=name, data=data)


def bounded(step: StepPlan, found: Sequence[FollowUp]) -> tuple[FollowUp, ...]:
    """`found`, unless they are too many. Errors: `output_invalid`."""
    if len(found) > FOLLOW_UPS_MAX:
        sentence = f"step {step.name!r} proposes {len(found)} steps: propose at most {FOLLOW_UPS_MAX}"
        raise RelmError(Code.OUTPUT_INVALID, sentence, step=step.name, follow_ups_max=FOLLOW_UPS_MAX)
    return tuple(found)


def _section(step: StepPlan, command: Command[str]) -> Section:
    if step.kind is not Kind.PROCEDURE:
        sentence = f"step {step.name!r} is a {step.kind} and returns a Command: return a Section"
        raise RelmError(Code.OUTPUT_INVALID, sentence, step=step.name)
    update = cast(object, command.update)
    if not isinstance(update, Mapping | None) or command.graph is not None or command.resume is not None:
        sentence = (
            f"step {step.name!r} returns a Command with more than a `goto` and an `update` of fields: leave it out"
        )
        raise RelmError(Code.OUTPUT_INVALID, sentence, step=step.name)
    goto = cast(object, command.goto)
    ways = cast(Sequence[object], goto) if isinstance(goto, list | tuple) else [goto]
    pairs = [_way(step, way) for way in ways if way != END]
    return Section(cast(Mapping[str, object] | None, update), propose=pairs)


def _way(step: StepPlan, way: object) -> tuple[str, Mapping[str, object]]:
    """A target by name, or with its payload as `Send`."""
    if not isinstance(way, Send):
        return cast(str, way), {}
    payload = cast(object, way.arg)
    if not isinstance(payload, Mapping):
        sentence = f"step {step.name!r} sends {way.node!r} a {type(payload).__name__}: send its payload as a dict"
        raise RelmError(Code.OUTPUT_INVALID, sentence, step=step.name, target=str(way.node))
    return way.node, cast(Mapping[str, object], payload)


def _names(goto: object) -> Sequence[str]:
    """The targets that a member `goto` names: one, several, or none."""
    if goto is None:
        return ()
    return cast(Sequence[str], goto) if isinstance(goto, list | tuple) else (cast(str, goto),)


def _targets(step: StepPlan) -> list[str]:
    return sorted(step.targets)
