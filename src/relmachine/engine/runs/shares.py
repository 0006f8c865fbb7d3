"""How the wall seconds of a run are shared: who is to go on for another keeps a part of them."""

from __future__ import annotations

from dataclasses import dataclass

AGENT_SHARE = 0.8
"""What of its wall seconds a run has that has a fallback closure; the rest is the closure's."""

PRIMARY_SHARE = 0.6
"""What of that a model has that has a fallback."""


@dataclass(frozen=True, slots=True)
class Shares:
    """Until when each may go on, in seconds on the clock of `time.monotonic`. They count from the life's beginning."""

    primary: float
    agent: float
    closure: float

    @classmethod
    def of(cls, began: float, wall_seconds: float, *, has_closure: bool) -> Shares:
        """Those of a run that `began` with `wall_seconds`."""
        agent = wall_seconds * AGENT_SHARE if has_closure else wall_seconds
        return cls(began + agent * PRIMARY_SHARE, began + agent, began + wall_seconds)
