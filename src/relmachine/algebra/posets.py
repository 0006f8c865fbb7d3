"""Finite partial orders as bitmasks, and the Heyting algebra of their up-sets.

Source: `docs/math.md` section 2; Birkhoff and Esakia duality. An *element* is a mask over the points with bit `i` set
when it contains point `i`; the algebra's elements are the masks closed under ↑.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from relmachine.algebra.laws import BrokenLaw, Law
from relmachine.errors import Code, RelmError


def bits(mask: int) -> Iterator[int]:
    """Positions of the bits set in `mask`, ascending."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


@dataclass(frozen=True)
class Poset:
    """Points with their ↑ masks: `up[i]` holds `i` and all that `points[i]` rests on.

    The constructor checks nothing, so that orders already proven cost nothing; `violation` decides whether the masks
    are a partial order.
    """

    points: tuple[str, ...]
    up: tuple[int, ...]

    @classmethod
    def from_prerequisites(cls, requires: Mapping[str, Iterable[str]]) -> Poset:
        """The order that direct prerequisites generate, points sorted by name.

        A cycle gives masks that are not antisymmetric: ask `violation`. Errors: `machine_invalid` for a prerequisite
        that is no point.
        """
        points = tuple(sorted(requires))
        position = {name: index for index, name in enumerate(points)}
        up = [1 << index for index in range(len(points))]
        for name, prerequisites in requires.items():
            for prerequisite in prerequisites:
                if prerequisite not in position:
                    sentence = f"declare {prerequisite!r} or drop it from the prerequisites of {name!r}"
                    raise RelmError(Code.MACHINE_INVALID, sentence, point=name, requires=prerequisite)
                up[position[name]] |= 1 << position[prerequisite]
        for middle, bit in enumerate([1 << index for index in range(len(points))]):  # Warshall, a row per operation
            for index, mask in enumerate(up):
                if mask & bit:
                    up[index] = mask | up[middle]
        return cls(points, tuple(up))

    def violation(self) -> BrokenLaw | None:
        """The first law of a partial order that the masks break; None when they are one."""
        if len(self.up) != len(self.points) or len(set(self.points)) != len(self.points):
            return BrokenLaw(Law.POINTS, self.points)
        for index, mask in enumerate(self.up):
            if mask & ~self.top:
                return BrokenLaw(Law.POINTS, (self.points[index],))
            if not mask >> index & 1:
                return BrokenLaw(Law.REFLEXIVE, (self.points[index],))
        for index, mask in enumerate(self.up):
            for middle in bits(mask):
                for beyond in bits(self.up[middle] & ~mask):
                    return BrokenLaw(Law.TRANSITIVE, (self.points[index], self.points[middle], self.points[beyond]))
                if middle != index and self.up[middle] >> index & 1:
                    return BrokenLaw(Law.ANTISYMMETRIC, (self.points[index], self.points[middle]))
        return None

    @property
    def top(self) -> int:
        """⊤: all points."""
        return (1 << len(self.points)) - 1

    @property
    def bottom(self) -> int:
        """⊥: no point."""
        return 0

    def is_up_set(self, mask: int) -> bool:
        """Whether `mask` is an element: made of points, and closed under ↑."""
        return mask & ~self.top == 0 and self.up_closure(mask) == mask

    def up_closure(self, mask: int) -> int:
        """Smallest element that contains `mask`."""
        closed = 0
        for index in bits(mask):
            closed |= self.up[index]
        return closed

    def meet(self, a: int, b: int) -> int:
        """a ∩ b."""
        return a & b

    def join(self, a: int, b: int) -> int:
        """a ∪ b."""
        return a | b

    def implies(self, a: int, b: int) -> int:
        """a ⇒ b = {x : ↑x ∩ a ⊆ b}, the largest element whose meet with `a` lies in `b`."""
        lost = a & ~b
        return sum(1 << index for index, mask in enumerate(self.up) if mask & lost == 0)

    def up_sets(self, limit: int) -> tuple[int, ...] | None:
        """All elements, by size and then by value, or None when there are more than `limit`.

        Points are added from the top down; every mask met on the way is an element itself, so the work is at most
        `limit` times the number of points.
        """
        found = [0]
        for index in self._top_down:
            above = self.up[index] ^ 1 << index
            found += [mask | 1 << index for mask in found if above & ~mask == 0]
            if len(found) > limit:
                return None
        return tuple(sorted(found, key=lambda mask: (mask.bit_count(), mask))) if len(found) <= limit else None

    def up_set_count(self, limit: int) -> int | None:
        """Number of elements, or None when there are more than `limit`."""
        elements = self.up_sets(limit)
        return None if elements is None else len(elements)

    def mask(self, *names: str) -> int:
        """Mask of the points called `names`. Raises KeyError for a name that is no point."""
        mask = 0
        for name in names:
            mask |= 1 << self.position[name]
        return mask

    def names(self, mask: int) -> tuple[str, ...]:
        """Names of the points in `mask`, sorted."""
        return tuple(sorted(self.points[index] for index in bits(mask)))

    @cached_property
    def position(self) -> Mapping[str, int]:
        """Where each point stands."""
        return {name: index for index, name in enumerate(self.points)}

    @cached_property
    def _top_down(self) -> list[int]:
        # In a partial order x < y gives ↑y ⊂ ↑x, so fewer bits means nearer the top.
        return sorted(range(len(self.points)), key=lambda index: self.up[index].bit_count())
