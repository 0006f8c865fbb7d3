"""Nuclei on the up-sets of a poset. Every nucleus is j_S for exactly one set S of points.

Source: `docs/math.md` section 2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from relmachine.algebra.laws import Law, Violation
from relmachine.algebra.posets import Poset, bits

Operator = Callable[[int], int]
"""A map from elements to elements."""


def close(poset: Poset, stable: int, element: int) -> int:
    """j_S(a) = {x : ↑x ∩ S ⊆ a} for S = `stable` and a = `element`."""
    lost = stable & ~element
    return sum(1 << index for index, mask in enumerate(poset.up) if mask & lost == 0)


def nucleus(poset: Poset, stable: int) -> Operator:
    """j_S as a function of the element."""
    return lambda element: close(poset, stable, element)


def compose(outer: Operator, inner: Operator) -> Operator:
    """`outer` after `inner`. Of two nuclei it is a nucleus when they commute, and then it is j of the intersection."""
    return lambda element: outer(inner(element))


def stable_points(poset: Poset, operator: Operator) -> int:
    """The S with `operator` = j_S, when `operator` is a nucleus: the points it does not add to what they rest on."""
    return sum(1 << index for index, mask in enumerate(poset.up) if not operator(mask ^ 1 << index) >> index & 1)


def nucleus_violation(poset: Poset, elements: Sequence[int], operator: Operator) -> Violation | None:
    """The first law of a nucleus that `operator` breaks on `elements` (all of them); None when it is one."""
    image = {a: operator(a) for a in elements}
    for a in elements:
        if not poset.is_up_set(image[a]):
            return Violation(Law.POINTS, elements=(poset.names(a),))
        if a & ~image[a]:
            return Violation(Law.EXTENSIVE, elements=(poset.names(a),))
        if image[image[a]] != image[a]:
            return Violation(Law.IDEMPOTENT, elements=(poset.names(a),))
    for place, a in enumerate(elements):
        for b in elements[:place]:
            if image[a & b] != image[a] & image[b]:
                return Violation(Law.MEET_PRESERVING, elements=(poset.names(a), poset.names(b)))
    return None


def commutes(poset: Poset, transfer: int, saturation: int) -> bool:
    """Whether j_R and j_S commute, for R = `transfer` and S = `saturation`."""
    return commutation_violation(poset, transfer, saturation) is None


def commutation_violation(poset: Poset, transfer: int, saturation: int) -> Violation | None:
    """A witness (y, z) that j_R and j_S do not commute; None when they do.

    They commute iff between every y of the one set and every z of the other with y ≤ z lies a w of both:
    y ≤ w ≤ z. The witness rests on z directly or through points of no help.
    """
    both = saturation & transfer
    for lower, upper in ((transfer, saturation), (saturation, transfer)):
        for y in bits(lower):
            reached = poset.up_closure(poset.up[y] & both)
            for z in bits(poset.up[y] & upper & ~reached):
                return Violation(Law.COMMUTING, (poset.points[y], poset.points[z]))
    return None
