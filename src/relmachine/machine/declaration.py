"""What a machine's author declared, as plain values, before anything is checked.

Names are kept as given: a broken declaration is a value too, so that `check` can report on all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as member
from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from relmachine.errors import Code, RelmError
from relmachine.machine.explicit import Explicit
from relmachine.machine.own_law import OwnLaw
from relmachine.machine.plan import FieldType, Kind, Reducer
from relmachine.machine.report import Law
from relmachine.machine.runs import RunPlan, ThreadBudget, Tool

FieldTypeName = Literal["string", "integer", "number", "boolean", "datetime"]
OnMissing = Literal["refuse", "defer"]
"""What becomes of a step while what it needs is not effective."""

ReducerName = Literal["union", "max", "min", "sum", "once", "log"]

_PYTHON_TYPES: Mapping[type, FieldType] = {
    str: FieldType.STRING,
    int: FieldType.INTEGER,
    float: FieldType.NUMBER,
    bool: FieldType.BOOLEAN,
    datetime: FieldType.DATETIME,
}


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim by name, with the names of its direct prerequisites."""

    name: str
    requires: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the accord: the type of a contribution, and how contributions fold to a value."""

    name: str
    type: FieldType
    reducer: Reducer


@dataclass(frozen=True, slots=True)
class Member:
    """A payload member that a declaration without a Pydantic model names."""

    name: str
    type: FieldType
    required: bool = False


@dataclass(frozen=True, slots=True)
class StepDeclaration:
    """A step type as declared. `reads` mixes claims and fields; `recorded` maps fields to payload members.

    `payload` is the author's model, or the members declared beside those that `recorded` names. It is None when the
    closure names no model, which is a problem already noted. `on_missing` and `hold_seconds` are as given.
    """

    name: str
    kind: Kind
    asserts: tuple[str, ...] = ()
    contests: tuple[str, ...] = ()
    vetoes: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    recorded: tuple[tuple[str, str], ...] = ()
    payload: type[BaseModel] | tuple[Member, ...] | None = ()
    closure: Callable[..., object] | None = None
    run: RunPlan | None = None
    targets: tuple[str, ...] = ()
    on_missing: OnMissing = "refuse"
    hold_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Ingest:
    """How a log becomes steps: `names` maps activities to steps, `payload` members to source attributes.

    A source attribute is `event:<key>` or `trace:<key>`; `principal` is that of who did the step, empty for whoever
    replays the log.
    """

    names: Mapping[str, str] = member(default_factory=dict[str, str])
    payload: Mapping[str, str] = member(default_factory=dict[str, str])
    principal: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a declaration that its values no longer show, e.g. a name given twice."""

    law: Law
    sentence: str
    witness: Mapping[str, object]


@dataclass(slots=True)
class Declaration:
    """Everything declared so far. Of a name declared twice the first stays, and a problem is noted."""

    name: str
    version: str
    claims: dict[str, Claim] = member(default_factory=dict[str, Claim])
    fields: dict[str, Field] = member(default_factory=dict[str, Field])
    steps: dict[str, StepDeclaration] = member(default_factory=dict[str, StepDeclaration])
    independent: list[tuple[str, str]] = member(default_factory=list[tuple[str, str]])
    dependent: list[tuple[str, str]] = member(default_factory=list[tuple[str, str]])
    own_laws: dict[str, OwnLaw] = member(default_factory=dict[str, OwnLaw])
    models: dict[str, object] = member(default_factory=dict[str, object])
    tools: dict[str, Tool] = member(default_factory=dict[str, Tool])
    ingest: Ingest = member(default_factory=Ingest)
    explicit: Explicit | None = None
    budget: ThreadBudget | None = None
    problems: list[Problem] = member(default_factory=list[Problem])

    def note(self, law: Law, sentence: str, /, **witness: object) -> None:
        """Remember a problem for `check`."""
        self.problems.append(Problem(law, sentence, witness))

    def add(self, item: Claim | Field | StepDeclaration | OwnLaw | Tool) -> None:
        """Put `item` under its name among its like."""
        match item:
            case Claim():
                if self.claims.setdefault(item.name, item) is not item:
                    self._twice("claim", item.name)
            case Field():
                if self.fields.setdefault(item.name, item) is not item:
                    self._twice("field", item.name)
            case StepDeclaration():
                if self.steps.setdefault(item.name, item) is not item:
                    self._twice("step", item.name)
            case OwnLaw():
                if self.own_laws.setdefault(item.name, item) is not item:
                    self._twice("law", item.name)
            case Tool():
                if self.tools.setdefault(item.name, item) is not item:
                    self._twice("tool", item.name)

    def _twice(self, what: str, name: str) -> None:
        self.note(Law.NAMES_UNIQUE, f"{what} {name!r} is declared twice: rename one, or remove it", **{what: name})


def claim(name: str, *, requires: Sequence[Claim | str] = ()) -> Claim:
    """A claim that rests on `requires`. Give it to one machine or several; `Machine.claim` makes and adds one."""
    return Claim(name, names_of(requires))


def field(
    name: str,
    type: type | FieldType | FieldTypeName,
    *,
    reducer: Reducer | ReducerName,
) -> Field:
    """A field of the accord. `type` is str, int, float, bool, datetime or one of the names of `FieldType`.

    Errors: `machine_invalid` for any other type or reducer.
    """
    return Field(name, _field_type(name, type), _reducer(name, reducer))


def names_of(items: Sequence[Claim | Field | str]) -> tuple[str, ...]:
    """Names of claims or fields given by handle or by name, each once, in the order given."""
    return tuple(dict.fromkeys(item if isinstance(item, str) else item.name for item in items))


def _field_type(name: str, given: type | str) -> FieldType:
    known = _PYTHON_TYPES.get(given) if isinstance(given, type) else given
    if known in list(FieldType):
        return FieldType(known)
    options = ", ".join(FieldType)
    raise RelmError(Code.MACHINE_INVALID, f"field {name!r}: the type is one of {options}", field=name, type=str(given))


def _reducer(name: str, given: str) -> Reducer:
    if given in list(Reducer):
        return Reducer(given)
    options = ", ".join(Reducer)
    raise RelmError(Code.MACHINE_INVALID, f"field {name!r}: the reducer is one of {options}", field=name, reducer=given)
