"""How a run comes to an end before its closure returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from relmachine.errors import Code
from relmachine.kernel.answer import Reason


@dataclass(frozen=True, slots=True)
class End:
    """Why a run ended without an output, in the parts that its `Answer` shows."""

    reason: Reason
    code: Code
    sentence: str
    witness: Mapping[str, object] = field(default_factory=dict[str, object])


class RunEnded(BaseException):
    """Unwinds a run to its carrier. No `Exception`: a closure that catches those does not go on after it."""

    def __init__(self, end: End) -> None:
        super().__init__(end.sentence)
        self.end = end
