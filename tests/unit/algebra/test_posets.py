"""Posets: order and Heyting laws by definition, on every order of up to four points and on random ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relmachine.algebra.laws import Law
from relmachine.algebra.posets import Poset
from relmachine.errors import Code, RelmError
from tests.unit.algebra.orders import COUNTS, elements, posets, random_posets, small_posets


@pytest.mark.parametrize("size", COUNTS)
def test_every_small_order_is_accepted(size: int) -> None:
    assert len(posets(size)) == COUNTS[size]
    assert all(poset.violation() is None for poset in posets(size))


def test_every_small_relation_that_is_no_order_is_refused() -> None:
    orders = {poset.up for poset in posets(3)}
    refused = 0
    for a in range(8):
        for b in range(8):
            for c in range(8):
                found = Poset(("a", "b", "c"), (a, b, c)).violation()
                assert (found is None) == ((a, b, c) in orders)
                refused += found is not None
    assert refused == 512 - 19


@pytest.mark.parametrize(
    ("up", "law", "points"),
    [
        ((0b00, 0b10), Law.REFLEXIVE, ("a",)),
        ((0b11, 0b11), Law.ANTISYMMETRIC, ("a", "b")),
        ((0b101, 0b10), Law.POINTS, ("a",)),
        ((0b1,), Law.POINTS, ("a", "b")),
    ],
)
def test_the_witness_names_the_points(up: tuple[int, ...], law: Law, points: tuple[str, ...]) -> None:
    found = Poset(("a", "b"), up).violation()
    assert found is not None
    assert (found.law, found.points) == (law, points)


def test_a_broken_chain_is_not_transitive() -> None:
    found = Poset(("a", "b", "c"), (0b011, 0b110, 0b100)).violation()
    assert found is not None
    assert (found.law, found.points) == (Law.TRANSITIVE, ("a", "b", "c"))


def test_two_points_of_one_name_are_refused() -> None:
    found = Poset(("a", "a"), (1, 2)).violation()
    assert found is not None
    assert found.law is Law.POINTS


def test_prerequisites_generate_the_order() -> None:
    poset = Poset.from_prerequisites({"sent": ["checked"], "checked": ["received"], "received": []})
    assert poset.points == ("checked", "received", "sent")
    assert [poset.names(mask) for mask in poset.up] == [
        ("checked", "received"),
        ("received",),
        ("checked", "received", "sent"),
    ]
    assert poset.violation() is None


def test_a_cycle_of_prerequisites_is_found() -> None:
    found = Poset.from_prerequisites({"a": ["c"], "b": ["a"], "c": ["b"]}).violation()
    assert found is not None
    assert (found.law, found.points) == (Law.ANTISYMMETRIC, ("a", "b"))


def test_an_unknown_prerequisite_is_a_coded_error() -> None:
    with pytest.raises(RelmError) as caught:
        Poset.from_prerequisites({"a": ["b"]})
    assert caught.value.code is Code.MACHINE_INVALID
    assert caught.value.witness == {"point": "a", "requires": "b"}


@given(random_posets())
def test_prerequisites_give_a_partial_order(poset: Poset) -> None:
    assert poset.violation() is None


def test_listing_equals_filtering_all_subsets() -> None:
    for poset in small_posets():
        found = poset.up_sets(16)
        assert found is not None
        assert sorted(found) == list(elements(poset))
        assert (found[0], found[-1]) == (poset.bottom, poset.top)


@given(random_posets(), st.integers(0, 130))
def test_the_bound_is_exact(poset: Poset, limit: int) -> None:
    expected = elements(poset)
    found = poset.up_sets(limit)
    assert (found is None) == (len(expected) > limit)
    assert found is None or sorted(found) == list(expected)
    assert poset.up_set_count(limit) == (len(expected) if len(expected) <= limit else None)


def test_a_wide_order_stops_at_the_bound() -> None:
    wide = Poset(tuple(f"c{x:02}" for x in range(60)), tuple(1 << x for x in range(60)))
    assert wide.up_sets(1_000) is None


def test_a_large_real_fiber_is_counted() -> None:
    # One chain of three and, under one point, five free points and one with four below it: 1 + 4 (1 + 2^5 (1 + 2^4)).
    requires = {"received": [], "checked": ["received"], "determined": ["checked"], "sent": ["determined"]}
    requires |= {"assessed": ["received"], "requested": ["assessed"]}
    requires |= {f"internal_{x}": ["assessed"] for x in range(5)} | {f"external_{x}": ["requested"] for x in range(4)}
    assert Poset.from_prerequisites(requires).up_set_count(2_181) == 2_181
    assert Poset.from_prerequisites(requires).up_set_count(2_180) is None


def _check_heyting(poset: Poset) -> None:
    every = elements(poset)
    for a in every:
        assert poset.meet(a, poset.top) == a == poset.join(a, poset.bottom)
        for b in every:
            implied = poset.implies(a, b)
            assert poset.is_up_set(poset.meet(a, b))
            assert poset.is_up_set(poset.join(a, b))
            assert poset.is_up_set(implied)
            for c in every:
                assert (c & ~implied == 0) == (poset.meet(c, a) & ~b == 0), "residuation"
                assert poset.meet(a, poset.join(b, c)) == poset.join(poset.meet(a, b), poset.meet(a, c))
                assert poset.join(a, poset.meet(b, c)) == poset.meet(poset.join(a, b), poset.join(a, c))


def test_heyting_laws_on_every_small_order() -> None:
    for poset in small_posets():
        _check_heyting(poset)


@given(random_posets(5))
def test_heyting_laws_on_random_orders(poset: Poset) -> None:
    _check_heyting(poset)


@given(random_posets(), st.data())
def test_closure_is_the_least_element_above(poset: Poset, data: st.DataObject) -> None:
    mask = data.draw(st.integers(0, poset.top))
    closed = poset.up_closure(mask)
    above = [a for a in elements(poset) if mask & ~a == 0]
    assert closed == min(above, key=int.bit_count)
    assert poset.is_up_set(mask) == (mask in elements(poset))


def test_names_and_masks_are_inverse() -> None:
    poset = Poset(("b", "a", "c"), (1, 2, 4))
    assert poset.mask("c", "b", "c") == 0b101
    assert poset.names(0b111) == ("a", "b", "c")
    assert not poset.is_up_set(0b1000)
    with pytest.raises(KeyError):
        poset.mask("d")
