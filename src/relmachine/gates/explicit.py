"""Explicit machines asked about: the programs of gate 3 on the tables that an author gave, with witness elements."""

from __future__ import annotations

from dataclasses import dataclass

from relmachine.errors import Code, RelmError
from relmachine.gates.constraint_checks import check_fibers_by_tables, check_restrictions_by_tables
from relmachine.gates.constraint_laws import SENTENCES, Named
from relmachine.gates.constraint_tables import FiberTables, RestrictionTable
from relmachine.machine.explicit import Explicit, ExplicitFiber

_SHOWN_MAX = 20


@dataclass(frozen=True, slots=True)
class ExplicitViolation:
    """A broken law: `subject` is the fiber, or the two fibers of a restriction; elements are by their names."""

    law: str
    subject: str
    witness: tuple[Named, ...]

    @property
    def sentence(self) -> str:
        """What is wrong."""
        return SENTENCES[self.law].rpartition(": ")[2]


def explicit_violations(explicit: Explicit) -> list[ExplicitViolation]:
    """Every law that the tables break; none for a machine that can be loaded."""
    tables = {name: tables_of(fiber) for name, fiber in explicit.fibers.items()}
    names = list(tables)
    found = [
        ExplicitViolation(item.law, names[item.subject], _plain(item.witness))
        for item in check_fibers_by_tables(list(tables.values()))
    ]
    maps = [RestrictionTable(tables[one.later], tables[one.earlier], one.image) for one in explicit.restrictions]
    ways = [f"{one.later} to {one.earlier}" for one in explicit.restrictions]
    found += [
        ExplicitViolation(item.law, ways[item.subject], _plain(item.witness))
        for item in check_restrictions_by_tables(maps)
    ]
    return found


def refuse_broken_tables(explicit: Explicit | None) -> None:
    """Errors: `machine_invalid` with the laws that the tables break, each with its elements."""
    found = [] if explicit is None else explicit_violations(explicit)
    if found:
        first = found[0]
        sentence = f"the tables of {first.subject} break {first.law}: {first.sentence}: run `relm check` on the machine"
        laws = [{"law": one.law, "fiber": one.subject, "witness": list(one.witness)} for one in found[:_SHOWN_MAX]]
        raise RelmError(Code.MACHINE_INVALID, sentence, laws=laws)


def tables_of(fiber: ExplicitFiber) -> FiberTables:
    """The tables as the programs take them."""
    return FiberTables(
        elements=tuple((name,) for name in fiber.elements),
        meet=fiber.meet,
        join=fiber.join,
        implies=fiber.implies,
        saturate=fiber.saturate,
        transfer=fiber.transfer,
        top=fiber.top,
        bottom=fiber.bottom,
    )


def _plain(witness: tuple[Named, ...]) -> tuple[Named, ...]:
    return tuple(item[0] if isinstance(item, tuple) else item for item in witness)
