"""What a replay finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from relmachine.engine.runs.port import Mode


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a replay differs from the record: at a stream sequence of a thread, in what, and from what to what.

    Of a run the sequence is its request's, and `place` counts the decisions of the attempt from 0.
    """

    thread: str
    sequence: int
    what: str
    recorded: str
    found: str
    attempt: int = 0
    place: int = 0


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay found: how much was the same, and the differences in the order of the stream."""

    mode: Mode
    events: int
    runs: int
    decisions: int
    differences: Sequence[Difference]

    @property
    def identical(self) -> bool:
        """Whether everything came out as it was recorded."""
        return not self.differences
