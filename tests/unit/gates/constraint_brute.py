"""The laws of the constraint layer by brute force over tables and points, independent of the programs.

Each function returns every (law, witness) that is broken, so that the programs can be held to the whole set.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from relmachine.gates.constraint_laws import Violation
from relmachine.gates.constraint_tables import Family, FiberTables, OrderTable, Piece, RestrictionTable

Broken = set[tuple[str, tuple[object, ...]]]


@dataclass(frozen=True)
class Points:
    """A fiber by its points, right or wrong."""

    points: tuple[str, ...]
    up: tuple[int, ...]
    saturation: int
    transfer: int


def reported(violations: list[Violation], subjects: int) -> list[Broken]:
    """What a check said of each of `subjects` subjects."""
    found: list[Broken] = [set() for _ in range(subjects)]
    for violation in violations:
        found[violation.subject].add((violation.law, violation.witness))
    return found


def broken_tables(tables: FiberTables) -> Broken:
    """Heyting and nucleus laws on every tuple of elements."""
    found = {(law, witness) for law, witness in (*_lattice(tables), *_heyting(tables), *_bounds(tables))}
    found |= set(_nuclei(tables))
    names = tables.elements
    return {(law, tuple(names[w] if isinstance(w, int) else w for w in witness)) for law, witness in found}


def _lattice(t: FiberTables) -> Iterator[tuple[str, tuple[object, ...]]]:
    every = range(len(t.elements))

    def le(a: int | None, b: int | None) -> bool:
        return a is not None and b is not None and t.meet[a][b] == a

    for a, b in product(every, every):
        meet, join = t.meet[a][b], t.join[a][b]
        if a == b and not le(a, a):
            yield "le_reflexive", (a,)
        if a < b and le(a, b) and le(b, a):
            yield "le_antisymmetric", (a, b)
        if meet is not None and not (le(meet, a) and le(meet, b)):
            yield "meet_lower", (a, b)
        if join is not None and not (le(a, join) and le(b, join)):
            yield "join_upper", (a, b)
        for c in every:
            if le(a, b) and le(b, c) and not le(a, c):
                yield "le_transitive", (a, b, c)
            if meet is not None and le(c, a) and le(c, b) and not le(c, meet):
                yield "meet_greatest", (a, b, c)
            if join is not None and le(a, c) and le(b, c) and not le(join, c):
                yield "join_least", (a, b, c)


def _heyting(t: FiberTables) -> Iterator[tuple[str, tuple[object, ...]]]:
    every = range(len(t.elements))
    for name, table in (("meet", t.meet), ("join", t.join), ("implies", t.implies)):
        for a, b in product(every, every):
            if table[a][b] is None:
                yield "operation_total", (name, a, b)
    for a, b, c in product(every, every, every):
        join, left, right, implied = t.join[b][c], t.meet[a][b], t.meet[a][c], t.implies[a][b]
        if join is not None and left is not None and right is not None:
            one, other = t.meet[a][join], t.join[left][right]
            if one is not None and other is not None and one != other:
                yield "distributive", (a, b, c)
        below = t.meet[c][a]
        if implied is not None and below is not None and (t.meet[c][implied] == c) != (t.meet[below][b] == below):
            yield "residuated", (a, b, c)


def _bounds(t: FiberTables) -> Iterator[tuple[str, tuple[object, ...]]]:
    if t.top is None:
        yield "top_present", ()
    if t.bottom is None:
        yield "bottom_present", ()
    for a in range(len(t.elements)):
        if t.top is not None and t.meet[a][t.top] != a:
            yield "top_greatest", (a, t.top)
        if t.bottom is not None and t.meet[t.bottom][a] != t.bottom:
            yield "bottom_least", (a, t.bottom)


def _nuclei(t: FiberTables) -> Iterator[tuple[str, tuple[object, ...]]]:
    every = range(len(t.elements))
    for name, row in (("saturate", t.saturate), ("transfer", t.transfer)):
        for a in every:
            image = row[a]
            if image is None:
                yield "nucleus_total", (name, a)
                continue
            if t.meet[a][image] != a:
                yield "extensive", (name, a)
            if row[image] is not None and row[image] != image:
                yield "idempotent", (name, a)
            for b in every:
                meet, other = t.meet[a][b], row[b]
                if meet is None or other is None or row[meet] is None or t.meet[image][other] is None:
                    continue
                if row[meet] != t.meet[image][other]:
                    yield "meet_preserving", (name, a, b)
    for a in every:
        first, second = t.transfer[a], t.saturate[a]
        if first is None or second is None or t.saturate[first] is None or t.transfer[second] is None:
            continue
        if t.saturate[first] != t.transfer[second]:
            yield "commuting", (a,)


def broken_points(fiber: Points) -> Broken:
    """A partial order, and S and R in it that commute."""
    size = len(fiber.points)
    name = dict(enumerate(fiber.points))
    rests = {(x, y) for x in range(size) for y in range(size + 3) if fiber.up[x] >> y & 1}
    sets = {"saturate": fiber.saturation, "transfer": fiber.transfer}
    found: Broken = {("up_reflexive", (name[x],)) for x in range(size) if (x, x) not in rests}
    for x, y in rests:
        if y >= size:
            found.add(("up_inside", (name[x], None)))
            continue
        if (y, x) in rests and x != y:
            found.add(("up_antisymmetric", tuple(sorted((name[x], name[y])))))
        found |= {
            ("up_transitive", (name[x], name[y], name.get(z))) for v, z in rests if v == y and (x, z) not in rests
        }
    for which, mask in sets.items():
        found |= {("stable_inside", (which, None)) for x in range(size, size + 3) if mask >> x & 1}
    both = fiber.saturation & fiber.transfer
    for y, z in rests:
        crosses = any(one >> y & 1 and other >> z & 1 for one, other in _two_ways(fiber))
        if crosses and z < size and not any(both >> w & 1 and {(y, w), (w, z)} <= rests for w in range(size)):
            found.add(("points_commuting", (name[y], name[z])))
    return found


def _two_ways(fiber: Points) -> tuple[tuple[int, int], tuple[int, int]]:
    return (fiber.saturation, fiber.transfer), (fiber.transfer, fiber.saturation)


def commuting_by_sets(fiber: Points) -> bool:
    """σΔ = Δσ on every up-set, from the definition of j_S alone."""
    size = len(fiber.points)
    elements = [a for a in range(1 << size) if all(fiber.up[x] & ~a == 0 for x in range(size) if a >> x & 1)]

    def close(stable: int, a: int) -> int:
        return sum(1 << x for x in range(size) if fiber.up[x] & stable & ~a == 0)

    return all(
        close(fiber.saturation, close(fiber.transfer, a)) == close(fiber.transfer, close(fiber.saturation, a))
        for a in elements
    )


def broken_restriction(table: RestrictionTable) -> Broken:
    """Preservation of the operations, the bounds and the nuclei, on every tuple of elements."""
    later, earlier, image = table.later, table.earlier, table.image
    every = range(len(later.elements))
    names = later.elements
    found: Broken = {("restriction_total", (names[a],)) for a in every if image[a] is None}

    def at(place: int | None) -> int | None:
        return None if place is None else image[place]

    operations = (
        ("restriction_meet", later.meet, earlier.meet),
        ("restriction_join", later.join, earlier.join),
        ("restriction_implies", later.implies, earlier.implies),
    )
    for law, here, there in operations:
        for a, b in product(every, every):
            x, y, left = image[a], image[b], at(here[a][b])
            if x is not None and y is not None and left is not None and there[x][y] not in {None, left}:
                found.add((law, (names[a], names[b])))
    for law, here, there in (("top", later.top, earlier.top), ("bottom", later.bottom, earlier.bottom)):
        if here is not None and there is not None and image[here] not in {None, there}:
            found.add((f"restriction_{law}", (names[here],)))
    nuclei = (("saturate", later.saturate, earlier.saturate), ("transfer", later.transfer, earlier.transfer))
    for which, here, there in nuclei:
        for a in every:
            x, left = image[a], at(here[a])
            if x is not None and left is not None and there[x] not in {None, left}:
                found.add(("restriction_nucleus", (which, names[a])))
    return found


def broken_inclusion(later: Points, earlier: Points) -> Broken:
    """That the points of `earlier` are an ↑-closed part of those of `later`, with the same ↑, S and R."""

    def rests(fiber: Points) -> set[tuple[str, str]]:
        pairs = product(enumerate(fiber.points), enumerate(fiber.points))
        return {(x, y) for (i, x), (j, y) in pairs if fiber.up[i] >> j & 1}

    def stable(fiber: Points, which: str) -> set[str]:
        mask = fiber.saturation if which == "saturate" else fiber.transfer
        return {x for i, x in enumerate(fiber.points) if mask >> i & 1}

    here, there = set(later.points), set(earlier.points)
    found: Broken = {("restriction_inside", (x,)) for x in there - here}
    found |= {("restriction_closed", (x, y)) for x, y in rests(later) if x in there and y not in there}
    common = {(x, y) for x, y in rests(later) ^ rests(earlier) if {x, y} <= here & there}
    found |= {("restriction_order", pair) for pair in common}
    for which in ("saturate", "transfer"):
        differ = (stable(later, which) ^ stable(earlier, which)) & here & there
        found |= {("restriction_stable", (which, x)) for x in differ}
    return found


def broken_order(order: OrderTable) -> Broken:
    """Reflexive, transitive, antisymmetric, on every tuple of histories."""
    every, name = range(len(order.histories)), order.histories
    found: Broken = {("prefix_reflexive", (name[t],)) for t in every if (t, t) not in order.prefix}
    for t, u in order.prefix:
        if t < u and (u, t) in order.prefix:
            found.add(("prefix_antisymmetric", (name[t], name[u])))
        for v in every:
            if (u, v) in order.prefix and (t, v) not in order.prefix:
                found.add(("prefix_transitive", (name[t], name[u], name[v])))
    return found


def broken_sections(family: Family) -> set[str]:
    """The laws of sections that `family` breaks."""
    found: set[str] = set()
    covered = set[str]().union(*(piece.events for piece in family.pieces))
    if family.events - covered:
        found.add("coverage")
    if covered - family.events:
        found.add("piece_inside")
    if any(event not in piece.events for piece in family.pieces for event, _ in piece.section):
        found.add("section_inside")
    for one, other in product(family.pieces, family.pieces):
        overlap = one.events & other.events
        if _within(one.section, overlap) != _within(other.section, overlap):
            found.add("overlap")
    if not _once([item for piece in family.pieces for item in piece.section.items()], family):
        found.add("once_agrees")
    gluings = [section for section in family.sections if _glues(dict(section), family)]
    if not gluings:
        found.add("gluing_exists")
    if len(gluings) > 1:
        found.add("gluing_unique")
    return found


def _within(section: object, events: frozenset[str]) -> dict[tuple[str, str], str]:
    return {key: value for key, value in dict(section).items() if key[0] in events}  # type: ignore[call-overload]


def _once(items: list[tuple[tuple[str, str], str]], family: Family) -> bool:
    return all(len({value for (_, field), value in items if field == name}) <= 1 for name in family.once)


def _glues(section: dict[tuple[str, str], str], family: Family) -> bool:
    return (
        all(event in family.events for event, _ in section)
        and _once(list(section.items()), family)
        and all(_within(section, piece.events) == dict(piece.section) for piece in family.pieces)
    )


def random_points(rng: random.Random, size: int) -> Points:
    """A partial order with commuting S and R."""
    while True:
        up = [1 << x for x in range(size)]
        for x in range(size):
            for y in range(x):
                if rng.random() < 0.4:
                    up[x] |= up[y]
        fiber = Points(tuple(f"p{x}" for x in range(size)), tuple(up), *_random_stable(rng, size))
        if commuting_by_sets(fiber):
            return fiber


def _random_stable(rng: random.Random, size: int) -> tuple[int, int]:
    every = (1 << size) - 1
    return rng.randrange(1 << size) | rng.choice((0, every)), rng.randrange(1 << size) | rng.choice((0, every))


def random_part(rng: random.Random, fiber: Points) -> Points:
    """The fiber over some of the points of `fiber`, closed under ↑."""
    size = len(fiber.points)
    kept = 0
    for x in range(size):
        if rng.random() < 0.5:
            kept |= fiber.up[x]
    places = [x for x in range(size) if kept >> x & 1]

    def local(mask: int) -> int:
        return sum(1 << new for new, old in enumerate(places) if mask >> old & 1)

    return Points(
        tuple(fiber.points[x] for x in places),
        tuple(local(fiber.up[x]) for x in places),
        local(fiber.saturation),
        local(fiber.transfer),
    )


def random_family(rng: random.Random) -> Family:
    """A history of up to six events, pieces that cover it, and their one gluing."""
    events = [f"e{number}" for number in range(rng.randint(2, 6))]
    whole = {(event, "note"): rng.choice("xyz") for event in events if rng.random() < 0.7}
    whole |= {(event, "name"): "n" for event in events if rng.random() < 0.5}
    cuts = [frozenset(event for event in events if rng.random() < 0.6) for _ in range(rng.randint(1, 3))]
    cuts.append(frozenset(events) - frozenset[str]().union(*cuts) | frozenset(rng.sample(events, 2)))
    pieces = tuple(Piece(cut, _within(whole, cut)) for cut in cuts)
    return Family(frozenset(events), pieces, (whole,), frozenset({"name"}))
