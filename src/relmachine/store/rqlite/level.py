"""Read levels of the replicated store."""

from __future__ import annotations

from enum import StrEnum


class Level(StrEnum):
    """How sure a read is to see every commit acknowledged before it.

    `linearizable` does, always. `weak` does while the leader does not change: one that has lost its lead without
    knowing answers from what it had. `none` asks whichever server is nearest, however far it is behind.
    """

    NONE = "none"
    WEAK = "weak"
    LINEARIZABLE = "linearizable"
    STRONG = "strong"
