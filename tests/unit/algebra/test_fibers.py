"""Fibers: content address, nuclei and fixed points, restriction; held against brute force over all elements."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relmachine.algebra.fibers import Fiber
from relmachine.algebra.laws import BrokenLaw, Law
from relmachine.algebra.posets import Poset
from relmachine.algebra.restrictions import Restriction
from tests.oracles.nuclei import commutes
from tests.unit.algebra.orders import elements, induced, posets, random_posets, small_posets, sub_posets


def fiber(poset: Poset, saturation: int, transfer: int) -> Fiber:
    return Fiber(poset.points, poset.up, saturation, transfer)


def under(poset: Poset, mask: int, smaller: Poset) -> int:
    """`mask` over the points of `smaller`."""
    return smaller.mask(*(name for name in poset.names(mask) if name in smaller.position))


@cache
def images(poset: Poset, smaller: Poset) -> tuple[int, ...]:
    """a ∩ P over the points of `smaller`, for every set a of points."""
    return tuple(under(poset, mask, smaller) for mask in range(poset.top + 1))


def reordered(given: Fiber, order: tuple[int, ...]) -> Fiber:
    """The same fiber with its points in another order."""

    def moved(mask: int) -> int:
        return sum(1 << place for place, old in enumerate(order) if mask >> old & 1)

    points = tuple(given.points[old] for old in order)
    up = tuple(moved(given.up[old]) for old in order)
    return Fiber(points, up, moved(given.saturation), moved(given.transfer))


def keeps_operations(here: Poset, there: Poset) -> bool:
    """Whether a ↦ a ∩ P maps elements to elements and keeps ∩, ∪, ⇒, ⊤ and ⊥, checked on all elements."""
    every, rho = elements(here), images(here, there)
    return (
        all(rho[a] in elements(there) for a in every)
        and rho[here.top] == there.top
        and rho[here.bottom] == there.bottom
        and all(
            rho[a & b] == rho[a] & rho[b]
            and rho[a | b] == rho[a] | rho[b]
            and rho[here.implies(a, b)] == there.implies(rho[a], rho[b])
            for a in every
            for b in every
        )
    )


def keeps_nuclei(larger: Fiber, smaller: Fiber) -> bool:
    """Whether a ↦ a ∩ P commutes with σ and Δ, checked on all elements."""
    rho = images(larger.poset, smaller.poset)
    return all(
        rho[larger.saturate(a)] == smaller.saturate(rho[a])
        and rho[larger.transfer_of(a)] == smaller.transfer_of(rho[a])
        for a in elements(larger.poset)
    )


def test_ids_are_contents_and_nothing_else() -> None:
    contents = [
        fiber(poset, saturation, transfer)
        for poset in small_posets(3)
        for saturation in range(poset.top + 1)
        for transfer in range(poset.top + 1)
    ]
    assert len({each.fiber_id for each in contents}) == len(contents)
    for each in contents:
        for order in permutations(range(len(each.points))):
            assert reordered(each, order).fiber_id == each.fiber_id


def test_the_form_of_the_id_never_changes() -> None:
    known = Fiber(("checked", "received"), (0b11, 0b10), 0b11, 0b10)
    assert known.fiber_id == sha256(b'["fiber","checked","S","received","","received","SR",""]').hexdigest()


@given(random_posets(), st.data())
def test_settling_is_both_compositions_when_they_commute(poset: Poset, data: st.DataObject) -> None:
    saturation, transfer = (data.draw(st.integers(0, poset.top)) for _ in range(2))
    each = fiber(poset, saturation, transfer)
    lawful = each.violation() is None
    assert lawful == commutes(poset, transfer, saturation)
    for a in elements(poset):
        fixed_by_both = each.saturate(a) == a == each.transfer_of(a)
        assert fixed_by_both == (each.settle(a) == a)
        if lawful:
            assert each.settle(a) == each.saturate(each.transfer_of(a)) == each.transfer_of(each.saturate(a))


def test_the_fixed_fiber_is_the_fiber_over_the_fixed_points() -> None:
    for poset in small_posets():
        for kept in range(poset.top + 1):
            each = fiber(poset, kept, poset.top)
            fixed = each.fixed_elements(16)
            assert fixed is not None
            traces = {a & each.fixed() for a in fixed}
            assert len(traces) == len(fixed), "an element of the fixed fiber is told by its fixed points"
            below = induced(poset, each.fixed())
            assert {under(poset, a, below) for a in traces} == set(elements(below))
            assert each.fixed_elements(0) is None


def test_restriction_to_every_earlier_fiber_keeps_every_law() -> None:
    checked = 0
    for poset in small_posets():
        for smaller in sub_posets(poset):
            assert keeps_operations(poset, smaller)
            there = images(poset, smaller)
            for kept in range(poset.top // 2 + 1):  # as S, its complement as R: every set takes one of the parts
                larger = fiber(poset, kept, poset.top ^ kept)
                below = fiber(smaller, there[kept], there[poset.top ^ kept])
                rho = larger.restrict(below)
                assert isinstance(rho, Restriction)
                assert all(rho(a) == there[a] for a in elements(poset))
                assert keeps_nuclei(larger, below)
                checked += 1
    assert checked > 10_000


def test_verdict_on_points_is_the_verdict_on_elements() -> None:
    verdicts = {Restriction: 0, BrokenLaw: 0}
    for poset in posets(3):
        for kept in range(8):
            names = poset.names(kept)
            for shape in posets(len(names)):
                smaller = Poset(names, shape.up)
                for above, below in product((0, 0b010, 0b111), range(smaller.top + 1)):
                    larger, there = fiber(poset, above, 0b101), fiber(smaller, below, under(poset, 0b101, smaller))
                    found = larger.restrict(there)
                    lawful = keeps_operations(poset, smaller) and keeps_nuclei(larger, there)
                    assert isinstance(found, Restriction) == lawful
                    verdicts[type(found)] += 1
    assert min(verdicts.values()) > 100


@given(random_posets(6), st.data())
def test_restrictions_compose(poset: Poset, data: st.DataObject) -> None:
    saturation, transfer = (data.draw(st.integers(0, poset.top)) for _ in range(2))
    middle = induced(poset, data.draw(st.sampled_from(elements(poset))))
    least = induced(middle, data.draw(st.sampled_from(elements(middle))))
    whole, half, last = (
        fiber(each, under(poset, saturation, each), under(poset, transfer, each)) for each in (poset, middle, least)
    )
    first, second, both = whole.restrict(half), half.restrict(last), whole.restrict(last)
    assert isinstance(first, Restriction)
    assert isinstance(second, Restriction)
    assert isinstance(both, Restriction)
    assert all(second(first(a)) == both(a) for a in elements(poset))


CHAIN = Poset.from_prerequisites({"a": [], "b": ["a"]})


@pytest.mark.parametrize(
    ("smaller", "law", "points"),
    [
        (Fiber(("z",), (1,), 1, 1), Law.POINTS, ("z",)),
        (Fiber(("b",), (1,), 1, 1), Law.RESTRICTION_IMPLIES, ("b", "a")),
        (Fiber(("a", "b"), (1, 2), 3, 3), Law.RESTRICTION_IMPLIES, ("b", "a")),
        (Fiber(("a",), (1,), 0, 1), Law.RESTRICTION_SATURATE, ("a",)),
        (Fiber(("a",), (1,), 1, 0), Law.RESTRICTION_TRANSFER, ("a",)),
    ],
)
def test_each_broken_restriction_is_named(smaller: Fiber, law: Law, points: tuple[str, ...]) -> None:
    found = fiber(CHAIN, 3, 3).restrict(smaller)
    assert isinstance(found, BrokenLaw)
    assert (found.law, found.points) == (law, points)


def test_witness_elements_break_the_law_they_are_given_for() -> None:
    seen: set[Law] = set()
    for poset in posets(3):
        for smaller_mask, below in product(range(8), repeat=2):
            smaller = induced(poset, smaller_mask)
            larger = fiber(poset, 0b011, 0b110)
            there = fiber(smaller, below & smaller.top, under(poset, 0b110, smaller))
            found = larger.restrict(there)
            if isinstance(found, BrokenLaw):
                seen.add(found.law)
                masks = [poset.mask(*names) for names in found.elements]
                if found.law is Law.RESTRICTION_IMPLIES:
                    a, b = masks
                    inner = smaller.implies(under(poset, a, smaller), under(poset, b, smaller))
                    assert under(poset, poset.implies(a, b), smaller) != inner
                else:
                    (a,) = masks
                    inner = there.saturate(under(poset, a, smaller))
                    assert under(poset, larger.saturate(a), smaller) != inner
    assert seen == {Law.RESTRICTION_IMPLIES, Law.RESTRICTION_SATURATE}


def test_a_broken_fiber_is_named() -> None:
    order = Fiber(("a", "b"), (3, 3), 0, 0).violation()
    masks = Fiber(("a",), (1,), 2, 0).violation()
    nuclei = fiber(CHAIN, CHAIN.mask("a"), CHAIN.mask("b")).violation()
    assert [found and found.law for found in (order, masks, nuclei)] == [
        Law.ANTISYMMETRIC,
        Law.POINTS,
        Law.COMMUTING,
    ]
