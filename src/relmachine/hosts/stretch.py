"""Work on one thread after the other that leaves room for the rest of the loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

STRETCH_SECONDS = 0.02
"""How long thread after thread is worked on before the rest of the loop gets a turn."""


Calm = Callable[[], Awaitable[None]]
"""Returns when nothing more urgent is on its way."""


class Stretch:
    """From its making on, or from the last turn of the rest of the loop.

    Thousands of steps in one go would hold up everything else for seconds, health checks among it: the sidecar would
    take the actors away. A turn after every thread would hold up the round instead: under load the rest of the loop
    has more to do each time than the steps of a thread take. What is urgent is let by after every thread.
    """

    def __init__(self, calm: Calm) -> None:
        self._calm = calm
        self._began = time.perf_counter()

    async def let_others_in(self) -> None:
        """Call between two threads."""
        await self._calm()
        # Not the loop's own clock: it may stand still within one turn of the loop.
        if time.perf_counter() - self._began >= STRETCH_SECONDS:
            await asyncio.sleep(0)
            self._began = time.perf_counter()
