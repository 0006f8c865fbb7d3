"""Coarse classes of size and rate: what gate 2 sees of them, so that its decisions can be remembered."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

SizeClass = Literal["small", "medium", "large", "oversize"]
"""Size of a payload's canonical text."""

RateClass = Literal["normal", "over"]
"""Whether a principal publishes more than it should."""


@dataclass(frozen=True, slots=True)
class SizeBounds:
    """The largest payload of each class, in bytes; beyond the last it is oversize."""

    small_bytes_max: int = 4 * 1024
    medium_bytes_max: int = 32 * 1024
    large_bytes_max: int = 128 * 1024

    def classify(self, size_bytes: int) -> SizeClass:
        """The class of a payload of `size_bytes` bytes."""
        if size_bytes <= self.small_bytes_max:
            return "small"
        if size_bytes <= self.medium_bytes_max:
            return "medium"
        return "large" if size_bytes <= self.large_bytes_max else "oversize"


@dataclass(slots=True)
class RateMeter:
    """Counts the steps of each principal per minute of `clock` (seconds, never going back).

    Coarse on purpose: at most twice `steps_per_minute_max` pass in any 60 seconds, and the principal heard of least
    recently is forgotten beyond `principals_max`. Without a bound every rate is normal.
    """

    clock: Callable[[], float]
    steps_per_minute_max: int | None = None
    principals_max: int = 10_000
    sequences_max: int = 100_000
    _counts: OrderedDict[str, tuple[int, int]] = field(default_factory=OrderedDict[str, tuple[int, int]])
    _classified: OrderedDict[int, RateClass] = field(default_factory=OrderedDict[int, RateClass])

    def classify(self, principal: str, sequence: int) -> RateClass:
        """Count the step of `principal` at stream `sequence`, once, and say whether it is one too many.

        A turn that is taken again, because its commit was stale or failed, gets the same answer for the same step.
        """
        if self.steps_per_minute_max is None:
            return "normal"
        found = self._classified.get(sequence) or self._count(principal, self.steps_per_minute_max)
        self._classified[sequence] = found
        if len(self._classified) > self.sequences_max:
            self._classified.popitem(last=False)
        return found

    def _count(self, principal: str, steps_max: int) -> RateClass:
        minute = int(self.clock() // 60)
        then, count = self._counts.pop(principal, (minute, 0))
        count = count + 1 if then == minute else 1
        self._counts[principal] = (minute, count)
        if len(self._counts) > self.principals_max:
            self._counts.popitem(last=False)
        return "over" if count > steps_max else "normal"
