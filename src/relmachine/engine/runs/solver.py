"""The solver seconds of a run: what the tools take that answer from the machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic

from relmachine.engine.runs.recorder import SOLVER, Recorder
from relmachine.engine.runs.threads import Raised, Returned, in_thread


class Solver:
    """Counts them over one life of a run, and ends the run when they are spent."""

    def __init__(self, recorder: Recorder, seconds_max: float) -> None:
        self.seconds = 0.0
        self._recorder, self._seconds_max = recorder, seconds_max

    async def ask(self, work: Callable[[], object]) -> Returned | Raised:
        """What came of `work`, which is one such tool. Raises `RunEnded` when it takes more than is left."""
        began = monotonic()
        try:
            return await asyncio.wait_for(in_thread(work), self._seconds_max - self.seconds)
        except TimeoutError:
            raise await self._recorder.stop(SOLVER) from None
        finally:
            self.seconds += monotonic() - began
