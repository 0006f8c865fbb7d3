"""What a closure returns: one contribution for each field it writes, and the steps that it proposes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from relmachine.errors import Code, RelmError
from relmachine.machine.plan import Plan, StepPlan
from relmachine.machine.values import value_text


class Section:
    """Contributions of one step by field. A value of None contributes nothing.

    `propose` lists follow-up steps for the same thread as (step, payload); each is one of the step's `targets`.
    """

    __slots__ = ("proposes", "values")

    def __init__(
        self,
        values: Mapping[str, object] | None = None,
        *,
        propose: Sequence[tuple[str, Mapping[str, object]]] = (),
    ) -> None:
        self.values: Mapping[str, object] = {} if values is None else dict(values)
        self.proposes: tuple[tuple[str, Mapping[str, object]], ...] = tuple(propose)

    def __repr__(self) -> str:
        proposes = f", propose={list(self.proposes)!r}" if self.proposes else ""
        return f"Section({dict(self.values)!r}{proposes})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Section) and self.values == other.values and self.proposes == other.proposes

    __hash__ = None  # pyright: ignore[reportAssignmentType]


def contributions(plan: Plan, step: StepPlan, output: object) -> tuple[tuple[str, str], ...]:
    """The contributions in what the closure of `step` returned, as (field, canonical JSON), sorted by field.

    Errors: `output_invalid` when it is no `Section`, names a field that the step does not declare in `writes`, or
    holds a value that is not of its field's type.
    """
    if not isinstance(output, Section):
        sentence = f"the closure of {step.name!r} returns a {type(output).__name__}: return a Section"
        raise RelmError(Code.OUTPUT_INVALID, sentence, step=step.name, type=type(output).__name__)
    found: list[tuple[str, str]] = []
    for name, value in output.values.items():
        if name not in step.writes:
            sentence = f"step {step.name!r} writes {name!r} without declaring it: add it to `writes`"
            raise RelmError(Code.OUTPUT_INVALID, sentence, step=step.name, field=str(name))
        if value is not None:
            found.append((name, value_text(plan.fields[name], value)))
    return tuple(sorted(found))
