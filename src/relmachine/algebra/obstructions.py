"""What keeps two histories from being one. Source: `docs/math.md` sections 3 and 4."""

from __future__ import annotations

from enum import StrEnum


class Disagreement(StrEnum):
    """What stands between an event of one and an event of the other."""

    DEPENDENT = "dependent"
    """Two events of dependent step types, each only in one of two histories: neither comes first."""
    ONCE = "once"
    """Events that wrote different values into a field that takes one."""
    STEP_KEY = "step_key"
    """Different events of one step key, each only in one of two histories."""
