"""Work on one thread after the other that leaves room for the rest of the loop."""

from __future__ import annotations

import asyncio
import time

STRETCH_SECONDS = 0.02
"""How long thread after thread is worked on before the rest of the loop gets a turn."""


class Stretch:
    """From its making on, or from the last turn of the rest of the loop.

    Thousands of steps in one go would hold up everything else for seconds, health checks among it: the sidecar would
    take the actors away. A turn after every thread would hold up the round instead: under load the rest of the loop
    has more to do each time than the steps of a thread take.
    """

    def __init__(self) -> None:
        self._began = time.perf_counter()

    async def let_others_in(self) -> None:
        """Call between two threads."""
        # Not the loop's own clock: it may stand still within one turn of the loop.
        if time.perf_counter() - self._began >= STRETCH_SECONDS:
            await asyncio.sleep(0)
            self._began = time.perf_counter()
