"""Goal: tables and points give the same verdict on every fiber and restriction that has both. Method: the small fibers
of the permit log, whole and with one bit of ↑, S or R changed, told both ways.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

from relmachine.algebra.fibers import Fiber
from relmachine.gates.constraint_checks import (
    check_fibers_by_points,
    check_fibers_by_tables,
    check_restrictions_by_points,
    check_restrictions_by_tables,
)
from relmachine.gates.constraint_laws import Violation
from relmachine.gates.constraint_tables import FiberTables, fiber_tables, restriction_table
from tests.mutations import real
from tests.mutations.of_points import flip_bit, flip_stable, points_of
from tests.unit.gates.constraint_brute import Points

ELEMENTS_MAX = 17
MUTANTS = 400


def tables_of(fiber: Points) -> FiberTables | None:
    """The tables that the points give: the sets closed under ↑, with ∩, ∪ and {x : ↑x ∩ a ⊆ b}."""
    return fiber_tables(Fiber(fiber.points, fiber.up, fiber.saturation, fiber.transfer), ELEMENTS_MAX)


def laws(violations: list[Violation], subjects: int) -> list[set[str]]:
    """The laws that each subject breaks."""
    found: list[set[str]] = [set() for _ in range(subjects)]
    for violation in violations:
        found[violation.subject].add(violation.law)
    return found


def small() -> list[Points]:
    """The log's fibers with few elements."""
    return [points_of(fiber) for fiber in real.fibers() if fiber.fiber_id in real.tables(ELEMENTS_MAX)]


def mutant(rng: Random, fiber: Points) -> Points:
    """One bit changed."""
    return rng.choice((flip_bit, flip_stable))(rng, fiber)[1]


def test_fibers_get_the_same_verdict_both_ways() -> None:
    """Two claims that rest on each other are one point told twice: only the points can tell, which the docs say."""
    rng, fibers = Random(1), small()
    asked = [*fibers, *(mutant(rng, rng.choice(fibers)) for _ in range(MUTANTS))]
    both = [(fiber, tables) for fiber, tables in ((item, tables_of(item)) for item in asked) if tables is not None]
    by_points = laws(check_fibers_by_points([fiber for fiber, _ in both]), len(both))
    by_tables = laws(check_fibers_by_tables([tables for _, tables in both]), len(both))
    seen: Counter[str] = Counter()
    for points, tables in zip(by_points, by_tables, strict=True):
        if points != {"up_antisymmetric"}:
            assert bool(points) is bool(tables), (points, tables)
        if points <= {"points_commuting"}:
            assert ("points_commuting" in points) is ("commuting" in tables)
        seen.update(points)
        seen["valid"] += not points
    assert all(seen[law] >= 20 for law in ("valid", "up_transitive", "up_reflexive", "points_commuting")), seen


def test_restrictions_get_the_same_verdict_both_ways() -> None:
    rng, tables = Random(2), real.tables(ELEMENTS_MAX)
    pairs = [pair for pair in real.pairs() if pair[0].fiber_id in tables and pair[1].points]
    asked = [(points_of(later), points_of(earlier)) for later, earlier in pairs]
    for _ in range(MUTANTS):
        later, earlier = asked[rng.randrange(len(pairs))]
        if rng.random() < 0.5:
            asked.append((later, flip_stable(rng, earlier)[1]))
        else:
            bit = 1 << rng.randrange(len(later.points))
            asked.append((replace(later, saturation=later.saturation ^ bit), earlier))
    maps = [
        restriction_table(one, other)
        for one, other in ((tables_of(later), tables_of(earlier)) for later, earlier in asked)
        if one is not None and other is not None
    ]
    assert len(maps) == len(asked)
    by_points = laws(check_restrictions_by_points(asked), len(asked))
    by_tables = laws(check_restrictions_by_tables(maps), len(asked))
    assert [bool(found) for found in by_points] == [bool(found) for found in by_tables]
    assert 100 < sum(map(bool, by_points)) < MUTANTS
