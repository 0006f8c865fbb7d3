"""Mutants of the log's fibers, of any size, by their points: one bit of ↑, S or R, or one point, changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

from relmachine.algebra.fibers import Fiber
from relmachine.gates.constraint_checks import check_fibers_by_points, check_restrictions_by_points
from tests.mutations import real
from tests.mutations.definitions import Broken
from tests.mutations.family import Drawn, Family, by_subject
from tests.unit.gates.constraint_brute import Points, broken_inclusion, broken_points

Pair = tuple[Points, Points]


def points_of(fiber: Fiber) -> Points:
    """The points alone."""
    return Points(fiber.points, fiber.up, fiber.saturation, fiber.transfer)


def flip_up(fiber: Points, place: int, bit: int) -> Points:
    """`fiber` with one bit of ↑ changed."""
    up = list(fiber.up)
    up[place] ^= 1 << bit
    return replace(fiber, up=tuple(up))


def flip_bit(rng: Random, fiber: Points, beyond: int = 0) -> tuple[object, Points]:
    """One bit of ↑ changed; up to `beyond` bits past the last point count."""
    place, bit = rng.randrange(len(fiber.points)), rng.randrange(len(fiber.points) + beyond)
    return ("up", place, bit), flip_up(fiber, place, bit)


def flip_stable(rng: Random, fiber: Points, beyond: int = 0) -> tuple[object, Points]:
    """One point, or one bit past the last, goes into S or R, or out of it."""
    name, bit = rng.choice(("saturation", "transfer")), rng.randrange(len(fiber.points) + beyond)
    return (name, bit), replace(fiber, **{name: getattr(fiber, name) ^ 1 << bit})


def past_the_last(rng: Random, fiber: Points) -> tuple[object, Points]:
    """One bit of ↑ past the last point is set."""
    place, bit = rng.randrange(len(fiber.points)), len(fiber.points) + rng.randrange(3)
    return ("up", place, bit), flip_up(fiber, place, bit)


def itself(rng: Random, fiber: Points) -> tuple[object, Points]:
    """A point is missing from its own ↑."""
    place = rng.randrange(len(fiber.points))
    return ("up", place, place), flip_up(fiber, place, place)


def each_other(rng: Random, fiber: Points) -> tuple[object, Points]:
    """A point comes to rest on one that rests on it, where there is one."""
    pairs = [
        (place, other)
        for place, mask in enumerate(fiber.up)
        for other in range(len(fiber.points))
        if mask >> other & 1 and place != other
    ]
    if not pairs:
        return itself(rng, fiber)
    place, other = rng.choice(pairs)
    return ("up", other, place), flip_up(fiber, other, place)


Change = Callable[[Random, Points], tuple[object, Points]]


def families() -> list[Family[Points] | Family[Pair]]:
    """A family for each law of points."""
    fibers = [(fiber.fiber_id, points_of(fiber)) for fiber in real.fibers()]
    pairs = [
        (f"{later.fiber_id} {earlier.fiber_id}", points_of(later), points_of(earlier))
        for later, earlier in real.pairs()
        if earlier.points
    ]

    def of(name: str, change: Change, law: str) -> Family[Points]:
        def draw(rng: Random) -> Drawn[Points]:
            subject, fiber = rng.choice(fibers)
            return Drawn(subject, *change(rng, fiber))

        return Family(name, frozenset({law}), draw, broken_points, ask_points, lambda item: len(item.points) ** 2)

    def across(name: str, change: Change, law: str) -> Family[Pair]:
        def draw(rng: Random) -> Drawn[Pair]:
            subject, later, earlier = rng.choice(pairs)
            how, mutant = change(rng, earlier)
            return Drawn(subject, how, (later, mutant))

        def broken(pair: Pair) -> Broken:
            return broken_inclusion(*pair)

        return Family(name, frozenset({law}), draw, broken, ask_pairs, lambda item: len(item[0].points) ** 2)

    def lost(rng: Random, later: Points, earlier: Points) -> tuple[object, Pair]:
        """A point of the later fiber bears another name, so that the earlier history's claim is not among them."""
        place = rng.randrange(len(later.points))
        points = (*later.points[:place], "foreign", *later.points[place + 1 :])
        return ("point", place), (replace(later, points=points), earlier)

    def draw_lost(rng: Random) -> Drawn[Pair]:
        subject, later, earlier = rng.choice(pairs)
        return Drawn(subject, *lost(rng, later, earlier))

    def draw_open(rng: Random) -> Drawn[Pair]:
        """One bit of the later ↑: a claim of the earlier history rests on one that is not in it."""
        subject, later, earlier = rng.choice(pairs)
        how, mutant = flip_bit(rng, later)
        return Drawn(subject, how, (mutant, earlier))

    closed = across("P not closed under ↑", itself, "restriction_closed")
    inside = across("P not inside", itself, "restriction_inside")
    return [
        of("↑ not transitive", flip_bit, "up_transitive"),
        of("↑ not antisymmetric", each_other, "up_antisymmetric"),
        of("↑ not reflexive", itself, "up_reflexive"),
        of("↑ outside the points", past_the_last, "up_inside"),
        of("S or R outside the points", lambda rng, fiber: flip_stable(rng, fiber, beyond=3), "stable_inside"),
        of("S and R do not commute", flip_stable, "points_commuting"),
        replace(inside, draw=draw_lost),
        replace(closed, draw=draw_open),
        across("↑ differs", flip_bit, "restriction_order"),
        across("S or R differs", flip_stable, "restriction_stable"),
    ]


def ask_points(mutants: Sequence[Points]) -> list[Broken]:
    """What the programs say of points; two that rest on each other come in any order, so they are sorted."""
    found = check_fibers_by_points(mutants)
    return by_subject(((v.subject, v.law, _unordered(v.law, v.witness)) for v in found), len(mutants))


def _unordered(law: str, witness: tuple[object, ...]) -> tuple[object, ...]:
    return tuple(sorted(map(str, witness))) if law == "up_antisymmetric" else witness


def ask_pairs(mutants: Sequence[Pair]) -> list[Broken]:
    """What the programs say of inclusions."""
    return by_subject(((v.subject, v.law, v.witness) for v in check_restrictions_by_points(mutants)), len(mutants))
