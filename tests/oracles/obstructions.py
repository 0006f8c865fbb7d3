"""Two sides that cannot be put together, both kept. Source: `docs/math.md` sections 3 and 4."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Disagreement(StrEnum):
    """What stands between the two sides."""

    DEPENDENT = "dependent"
    """Two events of dependent step types, each only in one of two histories: neither comes first."""
    CONTRIBUTION = "contribution"
    """One event that wrote different values into a field, or a value on one side and nothing on the other."""
    ONCE = "once"
    """Events that wrote different values into a field that takes one."""


@dataclass(frozen=True, slots=True, order=True)
class Side:
    """One side: the ids of its events, sorted, and the canonical text of their value; empty when they wrote none."""

    events: tuple[str, ...]
    value: str = ""


@dataclass(frozen=True, slots=True)
class Obstruction:
    """A disagreement with its two sides. The smaller side is `left`, so that it does not matter who asks.

    `field` is empty for dependent events.
    """

    disagreement: Disagreement
    field: str
    left: Side
    right: Side

    @classmethod
    def between(cls, disagreement: Disagreement, field: str, one: Side, other: Side) -> Obstruction:
        """The obstruction between two sides given in any order."""
        return cls(disagreement, field, min(one, other), max(one, other))
