"""How a broken law is told: which law, and the points or elements that break it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Law(StrEnum):
    """Laws of `docs/math.md` section 2 that this room decides."""

    POINTS = "points"
    REFLEXIVE = "reflexive"
    TRANSITIVE = "transitive"
    ANTISYMMETRIC = "antisymmetric"
    COMMUTING = "commuting"
    RESTRICTION_IMPLIES = "restriction_implies"
    RESTRICTION_SATURATE = "restriction_saturate"
    RESTRICTION_TRANSFER = "restriction_transfer"


@dataclass(frozen=True, slots=True)
class BrokenLaw:
    """One broken law with its witness: `points` by name, `elements` each as the sorted names of its points."""

    law: Law
    points: tuple[str, ...] = ()
    elements: tuple[tuple[str, ...], ...] = ()
