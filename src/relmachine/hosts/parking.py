"""Threads whose turns fail alone wait longer each time, so that what is wrong with one costs the others little."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

FIRST_SECONDS = 0.5
"""How long a thread waits after its first failure; it doubles with each further one."""

LONGEST_SECONDS = 60.0

THREADS_MAX = 10_000
"""Threads known before those that waited long ago are forgotten."""


@dataclass(frozen=True, slots=True)
class _Parked:
    until: float
    times: int
    error: Exception


class Parking:
    """Who waits, until when on `clock` (seconds), and because of which error. A turn that succeeds ends the waiting."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._parked: dict[str, _Parked] = {}

    def __len__(self) -> int:
        """How many wait now."""
        return sum(parked.until > self._clock() for parked in self._parked.values())

    def park(self, thread: str, error: Exception) -> None:
        """The thread's turn failed once more."""
        self._forget()
        before = self._parked.get(thread)
        times = 1 if before is None else before.times + 1
        wait = min(FIRST_SECONDS * 2 ** min(times - 1, 16), LONGEST_SECONDS)
        self._parked[thread] = _Parked(self._clock() + wait, times, error)

    def _forget(self) -> None:
        """Threads that nobody has asked for since they might run: another node may have finished them."""
        if len(self._parked) >= THREADS_MAX:
            now = self._clock()
            self._parked = {name: one for name, one in self._parked.items() if one.until + LONGEST_SECONDS > now}

    def leave(self, thread: str) -> None:
        """The thread's turn succeeded."""
        self._parked.pop(thread, None)

    def seconds(self, thread: str) -> float:
        """How long the thread has still to wait; 0 when it may run."""
        parked = self._parked.get(thread)
        return 0.0 if parked is None else max(0.0, parked.until - self._clock())

    def reason(self, thread: str) -> Exception | None:
        """The error of a thread that has still to wait; None when it may run."""
        parked = self._parked.get(thread)
        return parked.error if parked is not None and parked.until > self._clock() else None


class Resting:
    """How long threads wait that are parked on other nodes, as those told. At most `THREADS_MAX`; of more, nothing is
    known. Times in seconds on `clock`.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}

    def note(self, thread: str, seconds: float) -> None:
        """The thread waits so long from now."""
        now = self._clock()
        self._until.pop(thread, None)
        if len(self._until) >= THREADS_MAX:
            self._until = {name: until for name, until in self._until.items() if until > now}
        if seconds > 0 and len(self._until) < THREADS_MAX:
            self._until[thread] = now + seconds

    def seconds(self, thread: str) -> float:
        """How long it has still to wait; 0 when nothing is known."""
        return max(0.0, self._until.get(thread, 0.0) - self._clock())
