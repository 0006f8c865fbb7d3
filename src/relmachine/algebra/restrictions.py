"""Restriction maps: what a later state of knowledge says about an earlier history.

Source: `docs/math.md` section 2. ρ(a) = a ∩ P keeps ∩, ∪, ⊤ and ⊥ whatever the order; it keeps ⇒ iff each point of P
rests on the same in both orders (so that P is ↑-closed), and commutes with j_S iff S is the same on P. So the laws
are decided on points, and a violation still names the elements on which the law fails.
"""

from __future__ import annotations

from dataclasses import dataclass

from relmachine.algebra.laws import BrokenLaw, Law
from relmachine.algebra.posets import Poset, bits


@dataclass(frozen=True, slots=True)
class Restriction:
    """A lawful ρ: `places[i]` is the bit in the smaller order of the larger one's point `i`, 0 when it has none."""

    places: tuple[int, ...]

    def __call__(self, element: int) -> int:
        """a ∩ P, as a mask over the smaller order's points."""
        return sum(self.places[index] for index in bits(element))


def restriction(larger: Poset, smaller: Poset) -> Restriction | BrokenLaw:
    """The restriction from the elements of `larger` to those of `smaller`, or the law it breaks.

    Its witness is a pair of elements (a, b) with ρ(a ⇒ b) ≠ ρ(a) ⇒ ρ(b).
    """
    position = smaller.position
    for name in smaller.points:
        if name not in larger.position:
            return BrokenLaw(Law.POINTS, (name,))
    for name in smaller.points:
        here = set(larger.names(larger.up[larger.position[name]]))
        there = set(smaller.names(smaller.up[position[name]]))
        for other in sorted(here ^ there):
            # `name` lies in ↑other ⇒ ↑other∖{other} in one of the two orders only
            above = larger.up[larger.position[other]]
            below = above & ~larger.mask(other)
            return BrokenLaw(Law.RESTRICTION_IMPLIES, (name, other), (larger.names(above), larger.names(below)))
    return Restriction(tuple(1 << position[name] if name in position else 0 for name in larger.points))


def nucleus_mismatch(law: Law, larger: Poset, stable: int, smaller: Poset, stable_there: int) -> BrokenLaw | None:
    """Where the restriction fails to commute with j of `stable` above and j of `stable_there` below.

    The witness is an element a with ρ(j(a)) ≠ j(ρ(a)): all that the point rests on, without it.
    """
    for index, name in enumerate(smaller.points):
        place = larger.position[name]
        if (stable_there >> index ^ stable >> place) & 1:
            return BrokenLaw(law, (name,), (larger.names(larger.up[place] ^ 1 << place),))
    return None
