"""Facts of the constraint programs as text, and what the numbers in them stand for.

Subjects (fibers, maps, orders, families, steps) are numbered by one counter, so that a number in a `violation` tells
which of them it speaks of. The predicates are explained at the head of each program.
"""

from __future__ import annotations

from collections.abc import Iterable

from relmachine.algebra.posets import bits
from relmachine.gates.constraint_tables import (
    Contributions,
    Family,
    FiberTables,
    OrderTable,
    PointForm,
    RestrictionTable,
    Row,
)


class Numbers:
    """Numbers for names of one kind, from 1 on, in the order of asking."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def of(self, name: str) -> int:
        """The number of `name`."""
        return self._numbers.setdefault(name, len(self._numbers) + 1)

    def name(self, number: int) -> str:
        """The name that has `number`."""
        return list(self._numbers)[number - 1]

    def of_kind(self, _kind: str, number: int) -> str:
        """`name`, where a witness says of what kind the number is and all are numbered together."""
        return self.name(number)


def point_facts(number: int, fiber: PointForm, claims: Numbers) -> str:
    """Facts of a fiber by its points. Bits beyond the points are told as `#sup`, which no fiber has."""
    names = [claims.of(name) for name in fiber.points]

    def told(mask: int) -> list[int | str]:
        return [names[bit] if bit < len(names) else "#sup" for bit in bits(mask)]

    lines = [f"point({number},{x})." for x in names]
    lines += [f"up({number},{x},{y})." for x, mask in zip(names, fiber.up, strict=True) for y in told(mask)]
    lines += [f"stable({number},saturate,{x})." for x in told(fiber.saturation)]
    lines += [f"stable({number},transfer,{x})." for x in told(fiber.transfer)]
    return "".join(lines)


def table_facts(number: int, tables: FiberTables) -> str:
    """Facts of a fiber by its tables."""
    lines = [f"element({number},{a})." for a in range(len(tables.elements))]
    for name, rows in (("meet", tables.meet), ("join", tables.join), ("implies", tables.implies)):
        lines += [f"{name}({number},{a},{b},{c})." for a, row in enumerate(rows) for b, c in _cells(row)]
    for name, row in (("saturate", tables.saturate), ("transfer", tables.transfer)):
        lines += [f"nucleus({number},{name},{a},{b})." for a, b in _cells(row)]
    if tables.top is not None:
        lines.append(f"top({number},{tables.top}).")
    if tables.bottom is not None:
        lines.append(f"bottom({number},{tables.bottom}).")
    return "".join(lines)


def map_facts(number: int, later: int, earlier: int, table: RestrictionTable) -> str:
    """Facts of a restriction between two fibers whose tables are told under `later` and `earlier`."""
    lines = [f"restricts({number},{a},{b})." for a, b in _cells(table.image)]
    return f"restriction({number},{later},{earlier})." + "".join(lines)


def order_facts(number: int, order: OrderTable) -> str:
    """Facts of a relation between histories."""
    lines = [f"history({number},{t})." for t in range(len(order.histories))]
    lines += [f"prefix({number},{t},{u})." for t, u in sorted(order.prefix)]
    return "".join(lines)


def family_facts(number: int, family: Family, names: Numbers) -> str:
    """Facts of a family of sections; events, fields and values are numbered by `names`."""
    lines = [f"family({number})."]
    lines += [f"event({number},{names.of(event)})." for event in sorted(family.events)]
    lines += [f"once({number},{names.of(field)})." for field in sorted(family.once)]
    for place, piece in enumerate(family.pieces):
        lines.append(f"piece({number},{place}).")
        lines += [f"member({number},{place},{names.of(event)})." for event in sorted(piece.events)]
        lines += [f"contribution({number},{place},{c})." for c in _contributions(piece.section, names)]
    for place, section in enumerate(family.sections):
        lines.append(f"section({number},{place}).")
        lines += [f"contribution_of({number},{place},{c})." for c in _contributions(section, names)]
    return "".join(lines)


def _contributions(section: Contributions, names: Numbers) -> list[str]:
    return [f"{names.of(event)},{names.of(field)},{names.of(value)}" for (event, field), value in section.items()]


def _cells(row: Row) -> Iterable[tuple[int, int]]:
    return [(a, b) for a, b in enumerate(row) if b is not None]
