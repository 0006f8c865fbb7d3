"""Hints that came and are not answered, and which of them the server must hear of, so that it does not tell them again.

A node that lives may have a hint in hand for longer than the server waits: while its store is away, say. The hint would
come again and again, to this node and to others, with its body each time. What a dead node had in hand it tells of no
more; what nobody answers for too long is let go, in case it was forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from relmachine.stream.port import Hint


class InHand:
    """At most one entry a sequence. A hint is told of between the ages of `young_seconds` and `seconds_max`."""

    def __init__(self, young_seconds: float, seconds_max: float, clock: Callable[[], float]) -> None:
        self._young_seconds, self._seconds_max, self._clock = young_seconds, seconds_max, clock
        self._since: dict[int, tuple[float, object]] = {}

    def __len__(self) -> int:
        return len(self._since)

    def came(self, hint: Hint) -> None:
        """The hint is in hand; one that comes once more is answered by its newest token."""
        since, _ = self._since.get(hint.sequence, (self._clock(), None))
        self._since[hint.sequence] = (since, hint.token)

    def answered(self, hints: Iterable[Hint]) -> None:
        """They are done, or handed back."""
        for hint in hints:
            self._since.pop(hint.sequence, None)

    def due(self) -> list[str]:
        """Tokens of the hints that the server must hear of now. What is in hand for too long is forgotten."""
        now = self._clock()
        for sequence in [one for one, (since, _) in self._since.items() if now - since > self._seconds_max]:
            del self._since[sequence]
        return [str(token) for since, token in self._since.values() if now - since >= self._young_seconds]
