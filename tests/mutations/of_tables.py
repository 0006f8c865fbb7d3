"""Mutants of the operation tables, nuclei and restriction maps of the log's fibers: one cell changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

from relmachine.gates.constraint_checks import check_fibers_by_tables, check_restrictions_by_tables
from relmachine.gates.constraint_tables import FiberTables, RestrictionTable, restriction_table
from tests.mutations import real
from tests.mutations.definitions import Broken, broken_map, broken_tables
from tests.mutations.family import Drawn, Family, by_subject

HOLE_SHARE = 0.05
OPERATIONS = ("meet", "join", "implies")
NUCLEI = ("saturate", "transfer")


def with_cell(tables: FiberTables, name: str, place: tuple[int, ...], value: int | None) -> FiberTables:
    """`tables` with another value in one cell of table `name`."""
    if not place:
        return replace(tables, **{name: value})
    rows = getattr(tables, name)
    if len(place) == 1:
        return replace(tables, **{name: (*rows[: place[0]], value, *rows[place[0] + 1 :])})
    row = rows[place[0]]
    changed = (*row[: place[1]], value, *row[place[1] + 1 :])
    return replace(tables, **{name: (*rows[: place[0]], changed, *rows[place[0] + 1 :])})


def any_value(rng: Random, size: int) -> int | None:
    """A value for a cell; sometimes none."""
    return None if rng.random() < HOLE_SHARE else rng.randrange(size)


def cell(tables: FiberTables, name: str, place: tuple[int, ...]) -> int | None:
    """What stands in the cell."""
    value = getattr(tables, name)
    for index in place:
        value = value[index]
    return value


class OfFibers:
    """Draws mutants of the fibers with at most `elements_max` elements."""

    def __init__(self, elements_max: int) -> None:
        self.tables = list(real.tables(elements_max).items())

    def any_cell(self, *names: str) -> Callable[[Random], Drawn[FiberTables] | None]:
        """A random cell of one of the tables gets a random other value."""

        def draw(rng: Random) -> Drawn[FiberTables] | None:
            fiber, tables = rng.choice(self.tables)
            size, name = len(tables.elements), rng.choice(names)
            places = {**dict.fromkeys(OPERATIONS, 2), **dict.fromkeys(NUCLEI, 1), "top": 0, "bottom": 0}[name]
            place = tuple(rng.randrange(size) for _ in range(places))
            return self._changed(fiber, tables, name, place, any_value(rng, size))

        return draw

    def no(self, bound: str) -> Callable[[Random], Drawn[FiberTables] | None]:
        """⊤ or ⊥ is missing, or another element is called so."""

        def draw(rng: Random) -> Drawn[FiberTables] | None:
            fiber, tables = rng.choice(self.tables)
            value = None if rng.random() < 0.7 else rng.randrange(len(tables.elements))
            return self._changed(fiber, tables, bound, (), value)

        return draw

    def below_one_another(self, rng: Random) -> Drawn[FiberTables] | None:
        """For a ≤ b, b ∩ a becomes b: a random cell among those that can break antisymmetry."""
        fiber, tables = rng.choice(self.tables)
        size = len(tables.elements)
        a, b = rng.randrange(size), rng.randrange(size)
        if tables.meet[a][b] != a or a == b:
            return None
        return self._changed(fiber, tables, "meet", (b, a), b)

    def same_twice(self, rng: Random) -> Drawn[FiberTables] | None:
        """a ∩ a becomes another element: a random cell among those that can break reflexivity."""
        fiber, tables = rng.choice(self.tables)
        size = len(tables.elements)
        a = rng.randrange(size)
        return self._changed(fiber, tables, "meet", (a, a), any_value(rng, size))

    def hole(self, rng: Random) -> Drawn[FiberTables] | None:
        """A cell is empty."""
        fiber, tables = rng.choice(self.tables)
        size = len(tables.elements)
        return self._changed(fiber, tables, rng.choice(OPERATIONS), (rng.randrange(size), rng.randrange(size)), None)

    def hole_in_nucleus(self, rng: Random) -> Drawn[FiberTables] | None:
        """σ or Δ has no value for an element."""
        fiber, tables = rng.choice(self.tables)
        return self._changed(fiber, tables, rng.choice(NUCLEI), (rng.randrange(len(tables.elements)),), None)

    @staticmethod
    def _changed(
        fiber: str, tables: FiberTables, name: str, place: tuple[int, ...], value: int | None
    ) -> Drawn[FiberTables] | None:
        if cell(tables, name, place) == value:
            return None
        return Drawn(fiber, (name, place, value), with_cell(tables, name, place, value))


class OfMaps:
    """Draws mutants of the restrictions between fibers with at most `elements_max` elements."""

    def __init__(self, elements_max: int) -> None:
        tables = real.tables(elements_max)
        self.maps = [
            (
                f"{later.fiber_id} {earlier.fiber_id}",
                restriction_table(tables[later.fiber_id], tables[earlier.fiber_id]),
            )
            for later, earlier in real.pairs()
            if later.fiber_id in tables and earlier.fiber_id in tables
        ]

    def any_cell(self, rng: Random) -> Drawn[RestrictionTable] | None:
        """A random element goes to a random other one."""
        pair, table = rng.choice(self.maps)
        return self._changed(pair, table, rng.randrange(len(table.image)), any_value(rng, self._goal(table)))

    def of_bound(self, bound: str) -> Callable[[Random], Drawn[RestrictionTable] | None]:
        """⊤ or ⊥ goes to a random other element."""

        def draw(rng: Random) -> Drawn[RestrictionTable] | None:
            pair, table = rng.choice(self.maps)
            return self._changed(pair, table, getattr(table.later, bound), rng.randrange(self._goal(table)))

        return draw

    def hole(self, rng: Random) -> Drawn[RestrictionTable] | None:
        """An element goes nowhere."""
        pair, table = rng.choice(self.maps)
        return self._changed(pair, table, rng.randrange(len(table.image)), None)

    def of_nucleus(self, rng: Random) -> Drawn[RestrictionTable] | None:
        """A random cell of a nucleus of the earlier fiber changes, so that it is no longer that of the later one."""
        pair, table = rng.choice(self.maps)
        name, place = rng.choice(NUCLEI), (rng.randrange(self._goal(table)),)
        value = rng.randrange(self._goal(table))
        if cell(table.earlier, name, place) == value:
            return None
        return Drawn(pair, (name, place, value), replace(table, earlier=with_cell(table.earlier, name, place, value)))

    @staticmethod
    def _goal(table: RestrictionTable) -> int:
        return len(table.earlier.elements)

    @staticmethod
    def _changed(pair: str, table: RestrictionTable, place: int, value: int | None) -> Drawn[RestrictionTable] | None:
        if table.image[place] == value:
            return None
        image = (*table.image[:place], value, *table.image[place + 1 :])
        return Drawn(pair, (place, value), replace(table, image=image))


def ask_tables(mutants: Sequence[FiberTables]) -> list[Broken]:
    """What the programs say of tables."""
    return by_subject(((v.subject, v.law, v.witness) for v in check_fibers_by_tables(mutants)), len(mutants))


def ask_maps(mutants: Sequence[RestrictionTable]) -> list[Broken]:
    """What the programs say of maps."""
    return by_subject(((v.subject, v.law, v.witness) for v in check_restrictions_by_tables(mutants)), len(mutants))


def families(elements_max: int) -> list[Family[FiberTables] | Family[RestrictionTable]]:
    """A family for each law of tables."""
    fibers, maps = OfFibers(elements_max), OfMaps(elements_max)

    def of(name: str, draw: Callable[[Random], Drawn[FiberTables] | None], *laws: str) -> Family[FiberTables]:
        return Family(name, frozenset(laws), draw, broken_tables, ask_tables, lambda item: len(item.elements) ** 3)

    def across(
        name: str, draw: Callable[[Random], Drawn[RestrictionTable] | None], *laws: str
    ) -> Family[RestrictionTable]:
        def size(item: RestrictionTable) -> int:
            return 10 * len(item.later.elements) ** 2

        return Family(name, frozenset(laws), draw, broken_map, ask_maps, size)

    return [
        of("≤ not transitive", fibers.any_cell("meet"), "le_transitive"),
        of("≤ not antisymmetric", fibers.below_one_another, "le_antisymmetric"),
        of("≤ not reflexive", fibers.same_twice, "le_reflexive"),
        of("∩ not the greatest lower bound", fibers.any_cell("meet"), "meet_lower", "meet_greatest"),
        of("∪ not the least upper bound", fibers.any_cell("join"), "join_upper", "join_least"),
        of("table not distributive", fibers.any_cell("meet", "join"), "distributive"),
        of("table not residuated", fibers.any_cell("implies"), "residuated"),
        of("operation without a value", fibers.hole, "operation_total"),
        of("missing ⊤", fibers.no("top"), "top_present", "top_greatest"),
        of("missing ⊥", fibers.no("bottom"), "bottom_present", "bottom_least"),
        of("nucleus not extensive", fibers.any_cell(*NUCLEI), "extensive"),
        of("nucleus not idempotent", fibers.any_cell(*NUCLEI), "idempotent"),
        of("nucleus not meet-preserving", fibers.any_cell(*NUCLEI), "meet_preserving"),
        of("nucleus without a value", fibers.hole_in_nucleus, "nucleus_total"),
        of("σ and Δ do not commute", fibers.any_cell(*NUCLEI), "commuting"),
        across("restriction loses ∩", maps.any_cell, "restriction_meet"),
        across("restriction loses ∪", maps.any_cell, "restriction_join"),
        across("restriction loses ⇒", maps.any_cell, "restriction_implies"),
        across("restriction loses ⊤", maps.of_bound("top"), "restriction_top"),
        across("restriction loses ⊥", maps.of_bound("bottom"), "restriction_bottom"),
        across("restriction and nucleus do not commute", maps.of_nucleus, "restriction_nucleus"),
        across("restriction without a value", maps.hole, "restriction_total"),
    ]
