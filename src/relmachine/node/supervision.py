"""Keeping up what a node started: one that ends by itself is started again, more and more slowly, and not for ever.

The embedded stream server comes back on the same port and data, the process of the control lane where it served.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from relmachine.stream.server import NatsServer

_log = structlog.get_logger(__name__)

BACK_OFF_SECONDS = 0.2
"""Pause before the second restart in a row; it doubles with each one."""

RESTARTS_MAX = 10
"""Restarts without `STEADY_SECONDS` of running between them; then the node gives up."""

STEADY_SECONDS = 30.0


class Restarts:
    """The restarts in a row of one thing, from when it is first started."""

    def __init__(self) -> None:
        self._count, self._started = 0, asyncio.get_running_loop().time()

    async def again(self) -> bool:
        """Wait until it may be started again, which counts from then on; False when it does not stay up."""
        loop = asyncio.get_running_loop()
        if loop.time() - self._started > STEADY_SECONDS:
            self._count = 0
        self._count += 1
        if self._count > RESTARTS_MAX:
            return False
        await asyncio.sleep(BACK_OFF_SECONDS * 2 ** min(self._count - 2, 6) if self._count > 1 else 0)
        self._started = loop.time()
        return True


async def keep_running(server: NatsServer) -> None:
    """Restart `server` whenever its process is gone, waiting longer each time it does not stay up.

    Ends only by an error: `unreachable` when it cannot be started, or will not stay up.
    """
    restarts = Restarts()
    while True:
        await server.ended()
        _log.warning("nats-server ended by itself, starting it again")
        if not await restarts.again():
            raise server.failure()
        await server.restart()
