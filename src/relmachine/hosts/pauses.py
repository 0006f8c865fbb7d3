"""Threads that were paused on the control lane, as far as this node met them: their hints stay away meanwhile."""

from __future__ import annotations

from collections.abc import Mapping

from relmachine.kernel.lane import CANCEL, CLOSE_LANE, PAUSE, RESUME, Effect
from relmachine.kernel.state import ThreadState

PAUSED_SECONDS = 5.0
"""How long the hints of a paused thread stay away each time. When it is resumed its turn is taken at once."""

THREADS_MAX = 100_000
"""Paused threads remembered, those met longest ago forgotten first: their hints then only come more often."""


class Pauses:
    """Which threads rest. Whether one is paused is said by the store alone; this spares asking."""

    def __init__(self) -> None:
        self._resting: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._resting)

    def awake(self, states: Mapping[str, ThreadState]) -> Mapping[str, ThreadState]:
        """The states without those of paused threads, which are noted."""
        paused = [thread for thread, state in states.items() if state.paused]
        for thread in paused:
            self._note(thread)
        return {thread: state for thread, state in states.items() if not state.paused} if paused else states

    def heard(self, effect: Effect) -> bool:
        """What the effect does to a pause; whether the thread's turns may go on now."""
        if effect.outcome == "applied" and effect.record == PAUSE:
            self._note(effect.thread)
        if effect.outcome == "applied" and effect.record in (RESUME, CANCEL, CLOSE_LANE):
            self._resting.pop(effect.thread, None)
            return True
        return False

    def seconds(self, thread: str) -> float:
        """How long hints of the thread may stay away."""
        return PAUSED_SECONDS if thread in self._resting else 0.0

    def _note(self, thread: str) -> None:
        self._resting.pop(thread, None)
        self._resting[thread] = None
        if len(self._resting) > THREADS_MAX:
            del self._resting[next(iter(self._resting))]
