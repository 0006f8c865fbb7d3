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
        """The states without those of paused threads, which are noted; others rest no more."""
        paused = [thread for thread, state in states.items() if state.paused]
        for thread in self._resting.keys() & states.keys():
            del self._resting[thread]
        for thread in paused:
            self._note(thread)
        return {thread: state for thread, state in states.items() if not state.paused} if paused else states

    def heard(self, effect: Effect) -> bool:
        """What the effect does to a pause; whether a turn should be taken at once.

        A thread that is stopped and did not rest here has no hints that stay away: a turn would look for steps in vain,
        which the server pays for with a walk along its newest messages.
        """
        if effect.outcome != "applied":
            return False
        if effect.record == PAUSE:
            self._note(effect.thread)
        if effect.record not in (RESUME, CANCEL, CLOSE_LANE):
            return False
        rested = effect.thread in self._resting
        self._resting.pop(effect.thread, None)
        return rested or effect.record == RESUME

    def seconds(self, thread: str) -> float:
        """How long hints of the thread may stay away."""
        return PAUSED_SECONDS if thread in self._resting else 0.0

    def _note(self, thread: str) -> None:
        self._resting.pop(thread, None)
        self._resting[thread] = None
        if len(self._resting) > THREADS_MAX:
            del self._resting[next(iter(self._resting))]
