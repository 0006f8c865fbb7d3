"""Nuclei by their laws, as maps from elements to elements. Source: `docs/math.md` section 2."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from relmachine.algebra.nuclei import close, commutation_violation
from relmachine.algebra.posets import Poset

Operator = Callable[[int], int]
"""A map from elements to elements."""


def nucleus(poset: Poset, stable: int) -> Operator:
    """j_S as a function of the element."""
    return lambda element: close(poset, stable, element)


def compose(outer: Operator, inner: Operator) -> Operator:
    """`outer` after `inner`. Of two nuclei it is a nucleus when they commute, and then it is j of the intersection."""
    return lambda element: outer(inner(element))


def stable_points(poset: Poset, operator: Operator) -> int:
    """The S with `operator` = j_S, when `operator` is a nucleus: the points it does not add to what they rest on."""
    return sum(1 << index for index, mask in enumerate(poset.up) if not operator(mask ^ 1 << index) >> index & 1)


def nucleus_violation(poset: Poset, elements: Sequence[int], operator: Operator) -> str | None:
    """The first law of a nucleus that `operator` breaks on `elements` (all of them); None when it is one."""
    image = {a: operator(a) for a in elements}
    for a in elements:
        if not poset.is_up_set(image[a]):
            return "points"
        if a & ~image[a]:
            return "extensive"
        if image[image[a]] != image[a]:
            return "idempotent"
    for place, a in enumerate(elements):
        for b in elements[:place]:
            if image[a & b] != image[a] & image[b]:
                return "meet_preserving"
    return None


def commutes(poset: Poset, transfer: int, saturation: int) -> bool:
    """Whether j_R and j_S commute, for R = `transfer` and S = `saturation`."""
    return commutation_violation(poset, transfer, saturation) is None
