"""The door for steps that come through this node: shut while more is undecided than the nodes keep up with.

What waits, waits on the stream, which is a queue on disk; the node's memory is bounded by what it takes from there. The
door bounds the rest: bodies of publishers in hand, and how long the queue may grow before publishers are told to wait.
Whoever publishes to NATS directly passes by it, and is bounded by the stream server's own limits.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from relmachine.errors import Code, RelmError

if TYPE_CHECKING:
    from relmachine.kernel.limits import Limits
    from relmachine.stream.lag import Backlog

_log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
"""How long a look at the backlog counts, with what was let in since; and how long one may take."""

LOOK_AGAIN_SECONDS = 0.1
"""The same while it says that the door is shut: nobody is refused on an older look."""

RETRY_SECONDS = 1
"""What publishers are told to wait."""


class Door:
    """Lets steps in. `deferred` counts the calls that were told to come again."""

    def __init__(self, look: Callable[[], Awaitable[Backlog]], limits: Limits) -> None:
        self._look, self._limits = look, limits
        self._looking = asyncio.Lock()
        self._looked_at = float("-inf")
        self._known = self._since = self._inside = 0
        self.deferred = 0

    @property
    def undecided(self) -> int:
        """Undecided steps as of the last look, and those let in since."""
        return self._known + self._since

    @asynccontextmanager
    async def entering(self) -> AsyncGenerator[None]:
        """Hold one of the places for a publisher's body until the stream has it. Errors: `overloaded`."""
        most = self._limits.submits_in_flight_max
        if self._inside >= most:
            raise self._shut(f"{most} publishers are in this node already", submits_in_flight_max=most)
        self._inside += 1
        try:
            await self._check()
            yield
        finally:
            self._inside -= 1

    async def undecided_now(self) -> int:
        """Undecided steps as of a look that is a second old at most; as of the last one when the stream is silent."""
        await self._look_if_older(LOOK_SECONDS)
        return self.undecided

    def passed(self, steps: int) -> None:
        """So many steps are on the stream now."""
        self._since += steps

    async def _check(self) -> None:
        most = self._limits.undecided_steps_max
        await self._look_if_older(LOOK_SECONDS)
        if self.undecided >= most:
            await self._look_if_older(LOOK_AGAIN_SECONDS)
        if self.undecided >= most:
            raise self._shut(
                "more steps wait to be decided than this node lets wait",
                undecided_steps=self.undecided,
                undecided_steps_max=most,
            )

    async def _look_if_older(self, seconds: float) -> None:
        """Look again, together with whoever wants to. When the stream does not answer, publishing will tell."""
        async with self._looking:
            if time.monotonic() - self._looked_at < seconds:
                return
            before = self._since
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    self._known = (await self._look()).undecided
                self._since -= before
            except (RelmError, TimeoutError) as error:
                _log.info("backlog_not_seen", error=str(error) or type(error).__name__)
            self._looked_at = time.monotonic()

    def _shut(self, reason: str, **witness: object) -> RelmError:
        self.deferred += 1
        sentence = f"publish the step again in a while, nothing is lost but time: {reason}"
        return RelmError(Code.OVERLOADED, sentence, **witness, retry_after_seconds=RETRY_SECONDS)
