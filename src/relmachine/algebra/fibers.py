"""Fibers: the states of knowledge over a set of claims, with saturation σ and transfer Δ.

Source: `docs/math.md` section 2. A fiber is kept by its points; elements are masks over them and are listed only on
demand. It is addressed by its content: histories that assert the same claims share one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from relmachine.algebra.identity import digest
from relmachine.algebra.laws import BrokenLaw, Law
from relmachine.algebra.nuclei import close, commutation_violation
from relmachine.algebra.posets import Poset, bits
from relmachine.algebra.restrictions import Restriction, nucleus_mismatch, restriction

_MEMBERSHIP = ("-", "S", "R", "SR")


@dataclass(frozen=True)
class Fiber:
    """Up(P) for the claims `points`; `up[i]` is the mask of `points[i]` and all it rests on.

    `saturation` masks S, the points σ keeps stable; `transfer` masks R, those Δ does. The constructor checks nothing;
    `violation` decides the laws.
    """

    points: tuple[str, ...]
    up: tuple[int, ...]
    saturation: int
    transfer: int

    @cached_property
    def fiber_id(self) -> str:
        """Digest of the points, what each rests on, and which lie in S and R; the points' order does not show."""
        parts = ["fiber"]
        for index in sorted(range(len(self.points)), key=self.points.__getitem__):
            kind = _MEMBERSHIP[(self.saturation >> index & 1) + 2 * (self.transfer >> index & 1)]
            above = sorted(self.points[other] for other in bits(self.up[index] ^ 1 << index))
            parts += (self.points[index], kind, *above, "")
        return digest(*parts)

    @cached_property
    def poset(self) -> Poset:
        """The points with their order; its `implies`, `meet` and `join` are the fiber's."""
        return Poset(self.points, self.up)

    def violation(self) -> BrokenLaw | None:
        """The first law that the order or the two nuclei break; None when this is a fiber."""
        broken = self.poset.violation()
        if broken is not None:
            return broken
        if (self.saturation | self.transfer) & ~self.poset.top:
            return BrokenLaw(Law.POINTS, self.points)
        return commutation_violation(self.poset, self.transfer, self.saturation)

    def saturate(self, element: int) -> int:
        """σ(a) = j_S(a)."""
        return close(self.poset, self.saturation, element)

    def transfer_of(self, element: int) -> int:
        """Δ(a) = j_R(a)."""
        return close(self.poset, self.transfer, element)

    def settle(self, element: int) -> int:
        """π(a) = j_{S∩R}(a); it is σ(Δ(a)) and Δ(σ(a)) when σ and Δ commute."""
        return close(self.poset, self.fixed(), element)

    def fixed(self) -> int:
        """Mask of S∩R: the points of the fixed fiber. An element is fixed by σ and Δ iff it is fixed by π."""
        return self.saturation & self.transfer

    def elements(self, limit: int) -> tuple[int, ...] | None:
        """All elements, ⊥ first and ⊤ last, or None when there are more than `limit`."""
        return self.poset.up_sets(limit)

    def fixed_elements(self, limit: int) -> tuple[int, ...] | None:
        """The elements of the fixed fiber, {a : π(a) = a}, or None when the fiber has more than `limit` elements."""
        elements = self.elements(limit)
        return None if elements is None else tuple(a for a in elements if self.settle(a) == a)

    def restrict(self, smaller: Fiber) -> Restriction | BrokenLaw:
        """ρ: a ↦ a ∩ P onto the fiber of an earlier history, or the law that such a map would break."""
        here, there = self.poset, smaller.poset
        outcome = restriction(here, there)
        if isinstance(outcome, BrokenLaw):
            return outcome
        return (
            nucleus_mismatch(Law.RESTRICTION_SATURATE, here, self.saturation, there, smaller.saturation)
            or nucleus_mismatch(Law.RESTRICTION_TRANSFER, here, self.transfer, there, smaller.transfer)
            or outcome
        )

    def mask(self, *names: str) -> int:
        """Mask of the points called `names`. Raises KeyError for a name that is no point."""
        return self.poset.mask(*names)

    def names(self, mask: int) -> tuple[str, ...]:
        """Names of the points in `mask`, sorted."""
        return self.poset.names(mask)
