"""Nuclei: each is j_S for one S, and the commutation criterion holds; brute force on all orders of four points."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from relmachine.algebra.laws import Law
from relmachine.algebra.nuclei import close, commutation_violation
from relmachine.algebra.posets import Poset
from tests.oracles.nuclei import commutes, compose, nucleus, nucleus_violation, stable_points
from tests.unit.algebra.orders import elements, least_fixed, random_posets, small_posets


def all_nuclei(poset: Poset) -> Iterator[dict[int, int]]:
    """Every nucleus, by trying every image for every element, larger elements first.

    Images that already contradict extension or meets with elements assigned before are passed over; the laws are
    checked in full at the end.
    """
    order = sorted(elements(poset), key=lambda a: -a.bit_count())

    def assign(image: dict[int, int]) -> Iterator[dict[int, int]]:
        if len(image) == len(order):
            if all(image[image[a]] == image[a] for a in order):
                yield dict(image)
            return
        a = order[len(image)]
        for candidate in order:
            image[a] = candidate
            if (
                a & ~candidate == 0
                and all(image[a & b] == candidate & image[b] for b in image if a & b in image)
                and all(image[b] & image[c] == candidate for b in image for c in image if b & c == a)
            ):
                yield from assign(image)
            del image[a]

    yield from assign({})


def test_every_nucleus_is_one_of_the_j_and_only_one() -> None:
    for poset in small_posets():
        every = elements(poset)
        expected = {stable: {a: close(poset, stable, a) for a in every} for stable in range(poset.top + 1)}
        found = list(all_nuclei(poset))
        assert len(found) == len(expected) == 2 ** len(poset.points)
        for image in found:
            stable = stable_points(poset, image.__getitem__)
            assert expected[stable] == image
            assert sum(other == image for other in expected.values()) == 1


@given(random_posets(), st.data())
def test_j_is_what_it_is_defined_as_and_a_nucleus(poset: Poset, data: st.DataObject) -> None:
    stable = data.draw(st.integers(0, poset.top))
    operator = nucleus(poset, stable)
    assert all(operator(a) == least_fixed(poset, stable, a) for a in elements(poset))
    assert nucleus_violation(poset, elements(poset), operator) is None
    assert stable_points(poset, operator) == stable


def test_commutation_criterion_equals_brute_force() -> None:
    commuting = failing = 0
    for poset in small_posets():
        every, masks = elements(poset), range(poset.top + 1)
        j = [{a: close(poset, stable, a) for a in every} for stable in masks]
        for transfer in masks:
            for saturation in masks:
                same = all(j[transfer][j[saturation][a]] == j[saturation][j[transfer][a]] for a in every)
                assert commutes(poset, transfer, saturation) == same
                commuting, failing = commuting + same, failing + (not same)
                if same:
                    both = j[transfer & saturation]
                    assert all(j[saturation][j[transfer][a]] == both[a] for a in every)
    assert commuting > 1_000
    assert failing > 1_000


@settings(max_examples=200)
@given(random_posets(6), st.data())
def test_commutation_witness_is_one(poset: Poset, data: st.DataObject) -> None:
    transfer, saturation = (data.draw(st.integers(0, poset.top)) for _ in range(2))
    sigma, delta = nucleus(poset, saturation), nucleus(poset, transfer)
    one, other = compose(sigma, delta), compose(delta, sigma)
    found = commutation_violation(poset, transfer, saturation)
    assert (found is None) == all(one(a) == other(a) for a in elements(poset))
    if found is not None:
        assert found.law is Law.COMMUTING
        y, z = (poset.position[name] for name in found.points)
        sides = {(transfer >> y & 1, saturation >> z & 1), (saturation >> y & 1, transfer >> z & 1)}
        assert (1, 1) in sides
        assert poset.up[y] >> z & 1
        between = [w for w in range(len(poset.points)) if poset.up[y] >> w & 1 and poset.up[w] >> z & 1]
        assert not any(transfer & saturation & 1 << w for w in between)


def test_a_derivation_may_not_rest_on_a_procedure_unless_a_process_lies_between() -> None:
    # points: procedure (S) below nothing, derivation (R) resting on it; then a process (S and R) put between
    direct = Poset.from_prerequisites({"derivation": ["procedure"], "procedure": []})
    found = commutation_violation(direct, direct.mask("derivation"), direct.mask("procedure"))
    assert found is not None
    assert found.points == ("derivation", "procedure")
    between = Poset.from_prerequisites({"derivation": ["process"], "process": ["procedure"], "procedure": []})
    stable = between.mask("process")
    assert commutes(between, between.mask("derivation") | stable, between.mask("procedure") | stable)


def test_fixed_by_both_is_fixed_by_the_intersection() -> None:
    for poset in small_posets():
        every, masks = elements(poset), range(poset.top + 1)
        fixed = [{a for a in every if close(poset, stable, a) == a} for stable in masks]
        for transfer in masks:
            for saturation in masks:
                assert fixed[transfer] & fixed[saturation] == fixed[transfer & saturation]


def test_each_broken_law_is_named_with_its_elements() -> None:
    poset = Poset(("a", "b"), (1, 2))
    every = elements(poset)
    broken = {
        "points": {0: 4},
        "extensive": {1: 0},
        "idempotent": {0: 1, 1: 3},
        "meet_preserving": {0: 0, 1: 3, 2: 3},
    }
    for law, changed in broken.items():
        assert nucleus_violation(poset, every, lambda a, changed=changed: changed.get(a, a)) == law
    assert nucleus_violation(poset, every, lambda a: a) is None
