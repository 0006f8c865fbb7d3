"""Fibers and accords as public values that cannot be built wrong: `relmachine.Accord`, `AccordSection` and `Fiber`.

Each validator asks the programs of the constraint layer, so a model holds the laws that gate 3 holds a turn to. A
broken law is a Pydantic error of the type `law_violated`, whose context has `law`, `sentence` and `witness`.
Source: `docs/math.md` sections 2 and 3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, computed_field, model_validator
from pydantic_core import PydanticCustomError

from relmachine.algebra import fibers
from relmachine.algebra.reducers import Folded
from relmachine.algebra.sections import Section, values
from relmachine.gates.constraint_checks import check_fibers_by_points, check_sections
from relmachine.gates.constraint_laws import SENTENCES, Violation
from relmachine.gates.constraint_tables import Family, Piece
from relmachine.machine.plan import Reducer

Name = Annotated[str, Field(min_length=1, max_length=256)]


class _Lawful(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FiberPoint(_Lawful):
    """A claim of a fiber: all it rests on, itself left out; whether it lies in S (saturation) and in R (transfer)."""

    rests_on: frozenset[Name] = frozenset()
    saturation: bool = True
    transfer: bool = True


class Fiber(_Lawful):
    """The states of knowledge over some claims, by its points.

    Laws: the points are a partial order, and σ and Δ commute.
    """

    points: dict[Name, FiberPoint]

    @model_validator(mode="after")
    def _lawful(self) -> Self:
        unknown = sorted((x, y) for x, point in self.points.items() for y in point.rests_on - self.points.keys())
        if unknown:
            raise _broken(Violation("up_inside", 0, unknown[0]))
        _refuse(check_fibers_by_points([self.algebra()]))
        return self

    @computed_field
    @property
    def fiber_id(self) -> str:
        """The digest of the points, as the store has it."""
        return self.algebra().fiber_id

    @classmethod
    def of(cls, fiber: fibers.Fiber) -> Self:
        """The model of a fiber of the algebra."""
        return cls(
            points={
                name: FiberPoint(
                    rests_on=frozenset(fiber.names(fiber.up[place])) - {name},
                    saturation=bool(fiber.saturation >> place & 1),
                    transfer=bool(fiber.transfer >> place & 1),
                )
                for place, name in enumerate(fiber.points)
            }
        )

    def algebra(self) -> fibers.Fiber:
        """The fiber that can be computed with: elements, ⇒, σ, Δ, restrictions."""
        names = tuple(sorted(self.points))
        place = {name: index for index, name in enumerate(names)}
        return fibers.Fiber(
            points=names,
            up=tuple(sum(1 << place[one] for one in {name, *self.points[name].rests_on}) for name in names),
            saturation=sum(1 << place[name] for name in names if self.points[name].saturation),
            transfer=sum(1 << place[name] for name in names if self.points[name].transfer),
        )


class Contribution(_Lawful):
    """What one event contributed to one field: the canonical JSON text of the value."""

    event_id: Name
    field: Name
    value: str


class AccordSection(_Lawful):
    """The section over one history: its events in an order of the history, and what they contributed.

    Laws: contributions are of its events, one for each event and field, and those to a `once` field are equal.
    """

    accord_id: Name
    history_id: Name
    fields: dict[Name, Reducer]
    events: tuple[Name, ...]
    contributions: tuple[Contribution, ...] = ()

    @model_validator(mode="after")
    def _lawful(self) -> Self:
        section: dict[tuple[str, str], str] = {}
        for item in self.contributions:
            if section.setdefault((item.event_id, item.field), item.value) != item.value:
                raise _broken(Violation("turn_overlap", 0, (item.event_id, item.field)))
            if item.field not in self.fields:
                raise ValueError(f"{item.field!r} is no field of accord {self.accord_id!r}")
        once = frozenset(name for name, reducer in self.fields.items() if reducer is Reducer.ONCE)
        events = frozenset(self.events)
        _refuse(check_sections([Family(events, (Piece(events, section),), (section,), once)]))
        return self

    def section(self) -> Section:
        """The section that can be computed with: restricted, glued."""
        return Section(frozenset(self.events), {(item.event_id, item.field): item.value for item in self.contributions})

    def values(self) -> Mapping[str, Folded]:
        """The value of every field with a contribution, folded by its reducer."""
        reducers = {name: str(reducer) for name, reducer in self.fields.items()}
        return values(self.section(), reducers, self.events)


class Accord(_Lawful):
    """All sections of one accord, across histories.

    Laws: they are of one accord and its fields; on the events that two histories share their sections agree, so the
    section over a history is the one gluing of those over prefixes that cover it. Forks may differ in a `once` field:
    no history holds both values.
    """

    accord_id: Name
    fields: dict[Name, Reducer]
    sections: dict[Name, AccordSection] = {}

    @model_validator(mode="after")
    def _lawful(self) -> Self:
        for history, section in self.sections.items():
            if (section.history_id, section.accord_id, section.fields) != (history, self.accord_id, self.fields):
                raise ValueError(f"the section under {history!r} is of another history, accord or fields")
        held = {history: section.section() for history, section in self.sections.items()}
        pieces = [Piece(section.events, section.contributions) for section in held.values()]
        families = [
            Family(
                section.events,
                tuple(piece for piece in pieces if piece.events <= section.events),
                (section.contributions,),
                frozenset(),
            )
            for section in held.values()
        ]
        names = list(held)
        everything = frozenset[str]().union(*(piece.events for piece in pieces))
        for found in check_sections([Family(everything, tuple(pieces), (), frozenset())]):
            if found.law == "overlap":
                raise _broken(_with_histories(found, names))
        for found in check_sections(families):
            raise _broken(Violation(found.law, 0, (names[found.subject],)))
        return self

    @classmethod
    def of(cls, sections: Iterable[AccordSection]) -> Self:
        """The accord of some sections, at least one."""
        found = {section.history_id: section for section in sections}
        first = next(iter(found.values()))
        return cls(accord_id=first.accord_id, fields=first.fields, sections=found)


def _with_histories(found: Violation, names: list[str]) -> Violation:
    """The witness with the histories in place of the pieces' numbers."""
    one, other, *rest = found.witness
    histories = (names[int(str(piece).removeprefix("piece "))] for piece in (one, other))
    return Violation(found.law, 0, (*histories, *rest))


def _refuse(found: list[Violation]) -> None:
    """Raise the first; that there is no gluing comes last, since it follows from what else is wrong."""
    for violation in sorted(found, key=lambda item: item.law == "gluing_exists"):
        raise _broken(violation)


def _broken(violation: Violation) -> PydanticCustomError:
    context = {"law": violation.law, "sentence": SENTENCES[violation.law], "witness": list(violation.witness)}
    return PydanticCustomError("law_violated", "{law} is broken by {witness}: {sentence}", context)
