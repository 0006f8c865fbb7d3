"""Explicit machines: fibers, nuclei and restrictions given as tables, and the claims that they come from.

Source: `docs/math.md` section 2. Every finite Heyting algebra is that of the ↑-closed sets of its join-irreducible
elements, every nucleus is j_S for one set S of them, and every restriction is a ↦ a ∩ P for one ↑-closed set P of them
(Birkhoff, Esakia). So lawful tables say the same as claims with prerequisites and stabilities, and a machine given by
tables runs on those. Tables that are not what their claims give back are broken; which law, the programs say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from relmachine.algebra.fibers import Fiber

Row = tuple[int | None, ...]
ELEMENTS_MAX = 64
"""Elements of an explicit fiber: tables are cubic to check."""

ONTO = "onto"
"""The table that a mismatch names when a restriction misses elements: a ↦ a ∩ P reaches every one."""


@dataclass(frozen=True, slots=True)
class ExplicitFiber:
    """A fiber by its tables: cells hold places in `elements`, None where nothing was given."""

    elements: tuple[str, ...]
    meet: tuple[Row, ...]
    join: tuple[Row, ...]
    implies: tuple[Row, ...]
    saturate: Row
    transfer: Row
    top: int | None
    bottom: int | None


@dataclass(frozen=True, slots=True)
class ExplicitRestriction:
    """ρ from the fiber `later` to the fiber `earlier`, by name: `image[a]` is a place in the earlier's elements."""

    later: str
    earlier: str
    image: Row


@dataclass(frozen=True, slots=True)
class Explicit:
    """All tables of a machine. `whole` names the fiber of a history in which every claim has been asserted."""

    fibers: Mapping[str, ExplicitFiber]
    restrictions: tuple[ExplicitRestriction, ...]

    @property
    def whole(self) -> str:
        """The fiber with the most elements."""
        return max(self.fibers, key=lambda name: len(self.fibers[name].elements))


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A cell that is not what the claims give back: the fiber, the table, the elements that lead to the cell."""

    fiber: str
    table: str
    elements: tuple[str, ...]


def points_of(fiber: ExplicitFiber) -> Fiber:
    """The fiber over the join-irreducible elements: each rests on those below it. Right for lawful tables only."""
    size = range(len(fiber.elements))
    below = [frozenset(b for b in size if fiber.meet[b][a] == b) for a in size]
    places = [a for a in size if a != fiber.bottom and not _is_join(fiber, a)]
    at = {a: place for place, a in enumerate(places)}
    up = tuple(sum(1 << at[b] for b in below[a] if b in at) | 1 << at[a] for a in places)
    masks = {a: sum(1 << at[b] for b in below[a] if b in at) for a in size}

    def stable(row: Row) -> int:
        """The points that the nucleus does not add to what they rest on."""
        found = 0
        for place in range(len(places)):
            under = next((b for b in size if masks[b] == up[place] & ~(1 << place)), None)
            image = None if under is None else row[under]
            if image is not None and not masks[image] >> place & 1:
                found |= 1 << place
        return found

    return Fiber(tuple(fiber.elements[a] for a in places), up, stable(fiber.saturate), stable(fiber.transfer))


def _is_join(fiber: ExplicitFiber, a: int) -> bool:
    """Whether `a` is the join of two others."""
    size = range(len(fiber.elements))
    return any(fiber.join[b][c] == a for b in size for c in size if a not in (b, c))


def mismatches(fiber: ExplicitFiber, name: str) -> Iterator[Mismatch]:
    """The cells that differ from what the points give back; none exactly when the tables keep every law."""
    points = points_of(fiber)
    if points.violation() is not None:
        yield Mismatch(name, "order", points.points)
        return
    elements = points.elements(ELEMENTS_MAX) or ()
    place = {frozenset(points.names(mask)): mask for mask in elements}
    size = range(len(fiber.elements))
    under = [frozenset(found) for found in _points_under(fiber, points)]
    if len(elements) != len(fiber.elements) or set(under) != set(place):
        yield Mismatch(name, "elements", fiber.elements)
        return
    mask = [place[names] for names in under]
    at = {value: a for a, value in enumerate(mask)}
    poset = points.poset
    operations = (
        ("meet", fiber.meet, poset.meet),
        ("join", fiber.join, poset.join),
        ("implies", fiber.implies, poset.implies),
    )
    for table, rows, operation in operations:
        for a in size:
            for b in size:
                if rows[a][b] != at[operation(mask[a], mask[b])]:
                    yield Mismatch(name, table, (fiber.elements[a], fiber.elements[b]))
    nuclei = (("saturate", fiber.saturate, points.saturate), ("transfer", fiber.transfer, points.transfer_of))
    for table, row, nucleus in nuclei:
        for a in size:
            if row[a] != at[nucleus(mask[a])]:
                yield Mismatch(name, table, (fiber.elements[a],))
    for table, bound, value in (("top", fiber.top, poset.top), ("bottom", fiber.bottom, poset.bottom)):
        if bound != at[value]:
            yield Mismatch(name, table, ())


def restriction_mismatches(explicit: Explicit, restriction: ExplicitRestriction) -> Iterator[Mismatch]:
    """Elements that do not go where an ↑-closed part of the later fiber's points sends them; of two lawful fibers."""
    later, earlier = explicit.fibers[restriction.later], explicit.fibers[restriction.earlier]
    name = f"{restriction.later} to {restriction.earlier}"
    missed = [x for place, x in enumerate(earlier.elements) if place not in restriction.image]
    if missed:
        yield Mismatch(name, ONTO, tuple(missed))
    here, there = points_of(later), points_of(earlier)
    # A point stays when the map tells it from all it rests on; it then goes to a point of the earlier fiber.
    kept: dict[str, str] = {}
    for place, point in enumerate(here.points):
        a = later.elements.index(point)
        below = {x for x in here.names(here.up[place]) if x != point}
        under = next(b for b, found in enumerate(_points_under(later, here)) if found == below)
        one, other = restriction.image[a], restriction.image[under]
        if one is not None and one != other:
            kept[point] = earlier.elements[one]
    for point in kept:
        lost = {x for x in here.names(here.up[here.points.index(point)]) if x not in kept}
        if lost:
            yield Mismatch(name, "map", (point, *sorted(lost)))  # what stays must rest on what stays
    if len(set(kept.values())) != len(kept):
        yield Mismatch(name, "map", tuple(sorted(kept)))
    found = _points_under(earlier, there)
    for a, points in enumerate(_points_under(later, here)):
        image = restriction.image[a]
        if image is None or found[image] != {kept[x] for x in points if x in kept}:
            yield Mismatch(name, "map", (later.elements[a],))
    if set(kept.values()) != set(there.points):
        yield Mismatch(name, "points", tuple(sorted(set(there.points) - set(kept.values()))))
    for which in ("saturation", "transfer"):
        one, other = getattr(here, which), getattr(there, which)
        for x, y in kept.items():
            if y in there.points and (one >> here.points.index(x) ^ other >> there.points.index(y)) & 1:
                yield Mismatch(name, which, (x,))


def _points_under(fiber: ExplicitFiber, points: Fiber) -> list[set[str]]:
    """For each element the points below it."""
    at = {x: fiber.elements.index(x) for x in points.points}
    return [{x for x, b in at.items() if fiber.meet[b][a] == b} for a in range(len(fiber.elements))]
