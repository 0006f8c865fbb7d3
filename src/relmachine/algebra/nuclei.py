"""Nuclei on the up-sets of a poset. Every nucleus is j_S for exactly one set S of points.

Source: `docs/math.md` section 2.
"""

from __future__ import annotations

from relmachine.algebra.laws import BrokenLaw, Law
from relmachine.algebra.posets import Poset, bits


def close(poset: Poset, stable: int, element: int) -> int:
    """j_S(a) = {x : ↑x ∩ S ⊆ a} for S = `stable` and a = `element`."""
    lost = stable & ~element
    return sum(1 << index for index, mask in enumerate(poset.up) if mask & lost == 0)


def commutation_violation(poset: Poset, transfer: int, saturation: int) -> BrokenLaw | None:
    """A witness (y, z) that j_R and j_S do not commute; None when they do.

    They commute iff between every y of the one set and every z of the other with y ≤ z lies a w of both:
    y ≤ w ≤ z. The witness rests on z directly or through points of no help.
    """
    both = saturation & transfer
    for lower, upper in ((transfer, saturation), (saturation, transfer)):
        for y in bits(lower):
            reached = poset.up_closure(poset.up[y] & both)
            for z in bits(poset.up[y] & upper & ~reached):
                return BrokenLaw(Law.COMMUTING, (poset.points[y], poset.points[z]))
    return None
