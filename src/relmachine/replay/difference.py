"""What a replay finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from relmachine.engine.runs.port import Mode


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a replay differs from the record: at a stream sequence of a thread, in what, and from what to what.

    Of a run the sequence is its request's, and `attempt` counts from 1; 0 for what is of no attempt. `place` counts the
    decisions of the attempt from 0, or its passes, follow-ups or events joined, as `what` says.
    """

    thread: str
    sequence: int
    what: str
    recorded: str
    found: str
    attempt: int = 0
    place: int = 0


@dataclass(frozen=True, slots=True)
class Shown:
    """A difference, and the stream sequence that was decided, or whose run was carried out, when it showed."""

    at: int
    difference: Difference


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay found: how much it went through, and the differences in the order in which they showed.

    The first one is where the record was changed, or the machine; later ones may be what follows from it.
    """

    mode: Mode
    events: int
    runs: int
    decisions: int
    differences: Sequence[Difference]

    @property
    def identical(self) -> bool:
        """Whether everything came out as it was recorded."""
        return not self.differences
