"""Goal: fiber programs refuse exactly the broken fibers. Method: every small order and mutants against brute force.

The programs must report the same set of (law, witness) as brute force does, so every witness is a true one.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import product

import pytest

from relmachine.algebra.fibers import Fiber
from relmachine.gates.constraint_checks import (
    FIBER_TABLE_PROGRAMS,
    RESTRICTION_TABLE_PROGRAMS,
    check_fibers_by_points,
    check_fibers_by_tables,
    check_restrictions_by_points,
    check_restrictions_by_tables,
)
from relmachine.gates.constraint_facts import map_facts, table_facts
from relmachine.gates.constraint_programs import solve
from relmachine.gates.constraint_tables import FiberTables, RestrictionTable, Row, fiber_tables, restriction_table
from tests.unit.gates.constraint_brute import (
    Broken,
    Points,
    broken_inclusion,
    broken_points,
    broken_restriction,
    broken_tables,
    commuting_by_sets,
    random_part,
    random_points,
    reported,
)

TABLE_LAWS = [
    "operation_total",
    "le_reflexive",
    "le_antisymmetric",
    "le_transitive",
    "meet_lower",
    "meet_greatest",
    "join_upper",
    "join_least",
    "distributive",
    "residuated",
    "top_present",
    "bottom_present",
    "top_greatest",
    "bottom_least",
    "nucleus_total",
    "extensive",
    "idempotent",
    "meet_preserving",
    "commuting",
]
POINT_LAWS = ["up_reflexive", "up_antisymmetric", "up_transitive", "up_inside", "stable_inside", "points_commuting"]
RESTRICTION_LAWS = ["total", "meet", "join", "implies", "top", "bottom", "nucleus"]
INCLUSION_LAWS = ["inside", "closed", "order", "stable"]
MUTANTS = 20


def tables_of(fiber: Points, elements_max: int = 64) -> FiberTables:
    tables = fiber_tables(Fiber(fiber.points, fiber.up, fiber.saturation, fiber.transfer), elements_max)
    assert tables is not None
    return tables


def relations(size: int) -> list[tuple[int, ...]]:
    """Every relation on `size` points, as ↑ masks."""
    return list(product(range(1 << size), repeat=size))


def test_every_order_of_up_to_three_points_with_every_s_and_r() -> None:
    orders = [
        Points(tuple("abc"[:size]), up, 0, 0)
        for size in range(4)
        for up in relations(size)
        if not broken_points(Points(tuple("abc"[:size]), up, 0, 0))
    ]
    assert [len([order for order in orders if len(order.points) == size]) for size in range(4)] == [1, 1, 3, 19]
    fibers = [
        replace(order, saturation=s, transfer=r)
        for order in orders
        for s, r in product(range(1 << len(order.points)), repeat=2)
    ]
    by_points = reported(check_fibers_by_points(fibers), len(fibers))
    by_tables = reported(check_fibers_by_tables([tables_of(fiber) for fiber in fibers]), len(fibers))
    for fiber, points, tables in zip(fibers, by_points, by_tables, strict=True):
        lawful = commuting_by_sets(fiber)
        assert points == broken_points(fiber)
        assert tables == broken_tables(tables_of(fiber))
        assert (points == set(), tables == set()) == (lawful, lawful)
        assert {law for law, _ in points} <= {"points_commuting"}
        assert {law for law, _ in tables} <= {"commuting"}


def test_every_relation_on_up_to_three_points() -> None:
    fibers = [Points(tuple("abc"[:size]), up, 1, 1) for size in range(1, 4) for up in relations(size)]
    by_points = reported(check_fibers_by_points(fibers), len(fibers))
    assert by_points == [broken_points(fiber) for fiber in fibers]


def test_valid_fibers_and_restrictions_are_never_refused() -> None:
    rng = random.Random(1)
    fibers = [random_points(rng, rng.randint(0, 7)) for _ in range(400)]
    assert check_fibers_by_points(fibers) == []
    pairs = [(fiber, random_part(rng, fiber)) for fiber in fibers]
    assert check_restrictions_by_points(pairs) == []
    small = [(later, earlier) for later, earlier in pairs if len(later.points) <= 3]
    assert len(small) > 100
    assert check_fibers_by_tables([tables_of(later) for later, _ in small]) == []
    maps = [restriction_table(tables_of(later), tables_of(earlier)) for later, earlier in small]
    assert check_restrictions_by_tables(maps) == []


def small_tables(rng: random.Random) -> FiberTables:
    return tables_of(random_points(rng, rng.randint(2, 3)))


def mutate_cell(rng: random.Random, row: Row, values: int) -> Row:
    """`row` with one cell changed, now and then to a hole."""
    place = rng.randrange(len(row))
    others = [value for value in range(values) if value != row[place]]
    value = None if rng.random() < 0.1 or not others else rng.choice(others)
    return (*row[:place], value, *row[place + 1 :])


def mutate_tables(rng: random.Random, tables: FiberTables, name: str) -> FiberTables:
    """`tables` with one cell of table `name` changed."""
    size = len(tables.elements)
    if name in {"top", "bottom"}:
        return replace(tables, **{name: mutate_cell(rng, (getattr(tables, name),), size)[0]})
    if name in {"saturate", "transfer"}:
        return replace(tables, **{name: mutate_cell(rng, getattr(tables, name), size)})
    rows = list(getattr(tables, name))
    place = rng.randrange(size)
    rows[place] = mutate_cell(rng, rows[place], size)
    return replace(tables, **{name: tuple(rows)})


def enough(rng: random.Random, laws: list[str], make: Callable[[random.Random], tuple[object, Broken]]) -> list[object]:
    """Mutants, until every law is broken by at least `MUTANTS` of them; most only break laws still wanted."""
    seen: Counter[str] = Counter()
    mutants: list[object] = []
    for _ in range(200_000):
        mutant, broken = make(rng)
        names = {law for law, _ in broken}
        if any(seen[law] < MUTANTS for law in names):
            mutants.append(mutant)
            seen.update(names)
        if all(seen[law] >= MUTANTS for law in laws):
            assert set(seen) <= set(laws)
            return mutants
    pytest.fail(f"too few mutants: {seen}")


def test_one_changed_cell_in_the_tables_of_a_fiber() -> None:
    def make(rng: random.Random) -> tuple[FiberTables, Broken]:
        name = rng.choice(["meet", "join", "implies", "saturate", "transfer", "top", "bottom"])
        mutant = mutate_tables(rng, small_tables(rng), name)
        return mutant, broken_tables(mutant)

    mutants = [mutant for mutant in enough(random.Random(2), TABLE_LAWS, make) if isinstance(mutant, FiberTables)]
    assert reported(check_fibers_by_tables(mutants), len(mutants)) == [broken_tables(mutant) for mutant in mutants]


def test_one_changed_bit_in_the_points_of_a_fiber() -> None:
    def make(rng: random.Random) -> tuple[Points, Broken]:
        fiber = random_points(rng, rng.randint(2, 5))
        bit = 1 << rng.randrange(len(fiber.points) + (rng.random() < 0.1))
        if rng.random() < 0.5:
            up = list(fiber.up)
            up[rng.randrange(len(up))] ^= bit
            mutant = replace(fiber, up=tuple(up))
        elif rng.random() < 0.5:
            mutant = replace(fiber, saturation=fiber.saturation ^ bit)
        else:
            mutant = replace(fiber, transfer=fiber.transfer ^ bit)
        return mutant, broken_points(mutant)

    mutants = [mutant for mutant in enough(random.Random(3), POINT_LAWS, make) if isinstance(mutant, Points)]
    assert reported(check_fibers_by_points(mutants), len(mutants)) == [broken_points(mutant) for mutant in mutants]


def test_one_changed_cell_in_a_restriction() -> None:
    def make(rng: random.Random) -> tuple[RestrictionTable, Broken]:
        later = random_points(rng, rng.randint(2, 3))
        table = restriction_table(tables_of(later), tables_of(random_part(rng, later)))
        if rng.random() < 0.7:
            table = replace(table, image=mutate_cell(rng, table.image, len(table.earlier.elements)))
        else:
            name = rng.choice(["meet", "join", "implies", "saturate", "transfer", "top", "bottom"])
            table = replace(table, earlier=mutate_tables(rng, table.earlier, name))
        return table, broken_restriction(table)

    laws = [f"restriction_{law}" for law in RESTRICTION_LAWS]
    mutants = [mutant for mutant in enough(random.Random(4), laws, make) if isinstance(mutant, RestrictionTable)]
    expected = [broken_restriction(mutant) for mutant in mutants]
    assert reported(check_restrictions_by_tables(mutants), len(mutants)) == expected


def test_one_changed_bit_in_an_inclusion_of_points() -> None:
    def make(rng: random.Random) -> tuple[tuple[Points, Points], Broken]:
        later = random_points(rng, rng.randint(2, 5))
        earlier = random_part(rng, later)
        if not earlier.points:
            return (later, earlier), set()
        bit, place = 1 << rng.randrange(len(earlier.points)), rng.randrange(len(earlier.points))
        match rng.randrange(4):
            case 0:
                up = list(earlier.up)
                up[place] ^= bit
                earlier = replace(earlier, up=tuple(up))
            case 1:
                earlier = replace(earlier, saturation=earlier.saturation ^ bit)
            case 2:
                earlier = replace(earlier, transfer=earlier.transfer ^ bit)
            case _:
                name = rng.choice([*later.points, "foreign"])
                if name in earlier.points:
                    return (later, earlier), set()
                points = list(earlier.points)
                points[place] = name
                earlier = replace(earlier, points=tuple(points))
        return (later, earlier), broken_inclusion(later, earlier)

    laws = [f"restriction_{law}" for law in INCLUSION_LAWS]
    pairs = [mutant for mutant in enough(random.Random(5), laws, make) if isinstance(mutant, tuple)]
    expected = [broken_inclusion(later, earlier) for later, earlier in pairs]
    assert reported(check_restrictions_by_points(pairs), len(pairs)) == expected


def test_tables_and_points_agree_on_restrictions() -> None:
    rng = random.Random(6)
    pairs: list[tuple[Points, Points]] = []
    while len(pairs) < 150:
        later = random_points(rng, rng.randint(1, 3))
        earlier = random_part(rng, later)
        every = (1 << len(earlier.points)) - 1
        flip = rng.choice((0, rng.randrange(every + 1)))
        earlier = replace(earlier, saturation=earlier.saturation ^ flip & every)
        pairs.append((later, earlier))
    maps = [restriction_table(tables_of(later), tables_of(earlier)) for later, earlier in pairs]
    by_tables = [found == set() for found in reported(check_restrictions_by_tables(maps), len(maps))]
    by_points = [found == set() for found in reported(check_restrictions_by_points(pairs), len(pairs))]
    assert by_tables == by_points
    assert 20 < sum(by_points) < 130


@pytest.mark.parametrize(
    ("fact", "law"),
    [
        ("meet(0,0,1,1).", "operation_total"),
        ("join(0,0,1,0).", "operation_total"),
        ("implies(0,0,1,0).", "operation_total"),
        ("nucleus(0,saturate,1,0).", "nucleus_total"),
        ("nucleus(0,transfer,1,0).", "nucleus_total"),
    ],
)
def test_a_second_value_in_a_cell(fact: str, law: str) -> None:
    facts = "algebra(0)." + table_facts(0, tables_of(Points(("a",), (1,), 1, 1)))
    programs = (*FIBER_TABLE_PROGRAMS, *RESTRICTION_TABLE_PROGRAMS)
    assert solve(programs, facts) == []
    assert law in {found.law for found in solve(programs, facts + fact)}


def test_a_second_value_of_a_restriction() -> None:
    tables = tables_of(Points(("a",), (1,), 1, 1))
    facts = table_facts(0, tables) + map_facts(0, 0, 0, restriction_table(tables, tables))
    assert solve(RESTRICTION_TABLE_PROGRAMS, facts) == []
    assert "restriction_total" in {
        found.law for found in solve(RESTRICTION_TABLE_PROGRAMS, facts + "restricts(0,1,0).")
    }
