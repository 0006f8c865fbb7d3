"""What the constraint programs are asked about: fibers by points or by tables, their maps, orders and sections.

Tables may be wrong in every cell: that is what the programs decide. A cell that holds None has no value.
Source: `docs/math.md` sections 1 to 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Protocol

from relmachine.algebra.fibers import Fiber

Row = tuple[int | None, ...]


class PointForm(Protocol):
    """A fiber by its points, as `algebra.fibers.Fiber` has them: ↑, S and R are masks over `points`."""

    @property
    def points(self) -> tuple[str, ...]: ...
    @property
    def up(self) -> tuple[int, ...]: ...
    @property
    def saturation(self) -> int: ...
    @property
    def transfer(self) -> int: ...


@dataclass(frozen=True, slots=True)
class FiberTables:
    """A fiber by its operation tables: cells hold the place of the result in `elements`.

    `elements` are names for people: for an element made of claims, its claims.
    """

    elements: tuple[tuple[str, ...], ...]
    meet: tuple[Row, ...]
    join: tuple[Row, ...]
    implies: tuple[Row, ...]
    saturate: Row
    transfer: Row
    top: int | None
    bottom: int | None


@dataclass(frozen=True, slots=True)
class RestrictionTable:
    """A map from the fiber of a later history to that of an earlier one: `image[a]` is ρ(a)."""

    later: FiberTables
    earlier: FiberTables
    image: Row


@dataclass(frozen=True, slots=True)
class OrderTable:
    """A relation that should be a prefix order: `prefix` holds the pairs (t, u) of places in `histories` with t ≤ u."""

    histories: tuple[str, ...]
    prefix: Set[tuple[int, int]]


Contributions = Mapping[tuple[str, str], str]
"""A section: (event, field) to the canonical value contributed."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A prefix of a history, by its events, with the section over it."""

    events: frozenset[str]
    section: Contributions


@dataclass(frozen=True, slots=True)
class Family:
    """Sections over pieces of the history with `events`, and the sections over it that are given as their gluing.

    `once` names the fields whose contributions must all be equal.
    """

    events: frozenset[str]
    pieces: tuple[Piece, ...]
    sections: tuple[Contributions, ...]
    once: frozenset[str]


def fiber_tables(fiber: Fiber, elements_max: int) -> FiberTables | None:
    """The tables of `fiber`, or None when it has more than `elements_max` elements. A result that is no element is a
    hole.
    """
    elements = fiber.elements(elements_max)
    if elements is None:
        return None
    place = {element: index for index, element in enumerate(elements)}
    poset = fiber.poset
    return FiberTables(
        elements=tuple(fiber.names(a) for a in elements),
        meet=tuple(tuple(place.get(poset.meet(a, b)) for b in elements) for a in elements),
        join=tuple(tuple(place.get(poset.join(a, b)) for b in elements) for a in elements),
        implies=tuple(tuple(place.get(poset.implies(a, b)) for b in elements) for a in elements),
        saturate=tuple(place.get(fiber.saturate(a)) for a in elements),
        transfer=tuple(place.get(fiber.transfer_of(a)) for a in elements),
        top=place.get(poset.top),
        bottom=place.get(poset.bottom),
    )


def restriction_table(later: FiberTables, earlier: FiberTables) -> RestrictionTable:
    """ρ(a) = a ∩ P, P being the claims of the earlier fiber; a hole where that is none of its elements."""
    place = {element: index for index, element in enumerate(earlier.elements)}
    points = {claim for element in earlier.elements for claim in element}
    image = tuple(place.get(tuple(claim for claim in element if claim in points)) for element in later.elements)
    return RestrictionTable(later, earlier, image)
