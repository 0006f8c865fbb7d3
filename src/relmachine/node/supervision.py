"""Keeping the embedded stream server up: one that ends by itself is started again on the same port and data."""

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


async def keep_running(server: NatsServer) -> None:
    """Restart `server` whenever its process is gone, waiting longer each time it does not stay up.

    Ends only by an error: `unreachable` when it cannot be started, or will not stay up.
    """
    loop = asyncio.get_running_loop()
    restarts, started = 0, loop.time()
    while True:
        await server.ended()
        if loop.time() - started > STEADY_SECONDS:
            restarts = 0
        _log.warning("nats-server ended by itself, starting it again", restarts=restarts)
        await asyncio.sleep(BACK_OFF_SECONDS * 2 ** min(restarts - 1, 6) if restarts else 0)
        restarts += 1
        if restarts > RESTARTS_MAX:
            raise server.failure()
        await server.restart()
        started = loop.time()
