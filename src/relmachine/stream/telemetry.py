"""Telemetry on NATS: a message for whoever listens at that moment. Nothing is stored, nothing is acknowledged."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from nats.errors import Error

from relmachine.stream.connection import Connection, unreachable
from relmachine.stream.replies import subscribe
from relmachine.stream.topology import Topology

if TYPE_CHECKING:
    from nats.aio.msg import Msg


class TelemetryLine:
    """The telemetry subjects of one machine."""

    def __init__(self, connection: Connection, topology: Topology) -> None:
        self._connection, self._topology = connection, topology

    async def send(self, thread: str, body: bytes) -> bool:
        """Hand the message to the connection; whether it took it. A connection that is away takes none: what the client
        would keep until it is back is no news then.
        """
        if not self._connection.usable:
            return False
        try:
            await self._connection.client.publish(self._topology.telemetry_subject(thread), body)
        except (Error, OSError):
            return False
        return True

    @asynccontextmanager
    async def watch(self, thread: str) -> AsyncGenerator[AsyncIterator[bytes]]:
        """What is told of `thread` (`*` for all) from when the block is entered, while the caller iterates.

        Of what a slow reader has not taken the oldest go, beyond `watched_frames_max`. Survives reconnects.
        Errors: `unreachable`, while iterating too.
        """
        heard = _Heard(self._connection)
        try:
            stop = await subscribe(self._connection.client, self._topology.telemetry_subject(thread), heard.message)
            await self._connection.heard()
        except (Error, OSError) as error:
            raise unreachable(self._connection.url, error) from error
        forget = self._connection.on_reconnect(heard.wake)
        try:
            yield heard.bodies()
        finally:
            forget()
            if not self._connection.client.is_closed:
                await stop()


class _Heard:
    """Messages that wait to be taken."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._waiting: deque[bytes] = deque(maxlen=connection.bounds.watched_frames_max)
        self._told = asyncio.Event()

    def message(self, message: Msg) -> None:
        """One came."""
        self._waiting.append(message.data)
        self._told.set()

    def wake(self) -> None:
        """The connection is a new one, or none any more."""
        self._told.set()

    async def bodies(self) -> AsyncGenerator[bytes]:
        """The bodies as they come. Errors: `unreachable` when the connection was given up."""
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            if self._connection.client.is_closed:
                raise self._connection.given_up()
            await self._told.wait()
            self._told.clear()
