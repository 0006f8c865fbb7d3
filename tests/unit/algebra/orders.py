"""All partial orders of up to four labelled points, random ones, and brute-force definitions to hold the code to."""

from __future__ import annotations

from functools import cache
from itertools import combinations, product

from hypothesis import strategies as st

from relmachine.algebra.posets import Poset

COUNTS = {0: 1, 1: 1, 2: 3, 3: 19, 4: 219}
"""Partial orders on n labelled points (OEIS A001035)."""


@cache
def posets(size: int) -> tuple[Poset, ...]:
    """Every partial order on `size` labelled points, found among all relations by the three laws."""
    pairs = [(x, y) for x in range(size) for y in range(size) if x != y]
    found: list[Poset] = []
    for chosen in product((False, True), repeat=len(pairs)):
        relation = {pair for pair, there in zip(pairs, chosen, strict=True) if there}
        if any((y, x) in relation for x, y in relation):
            continue
        if any((x, z) not in relation for x, y in relation for w, z in relation if w == y):
            continue
        up = tuple(1 << x | sum(1 << y for w, y in relation if w == x) for x in range(size))
        found.append(Poset(tuple("abcd"[:size]), up))
    return tuple(found)


def small_posets(largest: int = 4) -> list[Poset]:
    """Every partial order of up to `largest` points."""
    return [poset for size in range(largest + 1) for poset in posets(size)]


@cache
def elements(poset: Poset) -> tuple[int, ...]:
    """All up-sets, by filtering all subsets."""
    size = len(poset.points)
    return tuple(
        mask
        for mask in range(1 << size)
        if all(poset.up[x] >> y & 1 <= mask >> y & 1 for x in range(size) if mask >> x & 1 for y in range(size))
    )


def least_fixed(poset: Poset, stable: int, element: int) -> int:
    """j_S(a) in the words of its definition: the points all of whose ↑ that lies in S lies in a."""
    size = len(poset.points)
    return sum(
        1 << x
        for x in range(size)
        if all(element >> y & 1 for y in range(size) if poset.up[x] >> y & 1 and stable >> y & 1)
    )


def sub_posets(poset: Poset) -> list[Poset]:
    """The order induced on every ↑-closed subset of the points."""
    return [induced(poset, mask) for mask in elements(poset)]


def induced(poset: Poset, mask: int) -> Poset:
    """The order induced on the points in `mask`."""
    kept = [x for x in range(len(poset.points)) if mask >> x & 1]
    up = tuple(sum(1 << place for place, y in enumerate(kept) if poset.up[x] >> y & 1) for x in kept)
    return Poset(tuple(poset.points[x] for x in kept), up)


@st.composite
def random_posets(draw: st.DrawFn, largest: int = 7) -> Poset:
    """A partial order of up to `largest` points, from random prerequisites among earlier points."""
    size = draw(st.integers(0, largest))
    links = draw(st.sets(st.sampled_from(list(combinations(range(size), 2))))) if size > 1 else set[tuple[int, int]]()
    names = draw(st.permutations([f"c{x}" for x in range(size)]))
    return Poset.from_prerequisites({names[y]: [names[x] for x, z in links if z == y] for y in range(size)})
