"""The publisher's connection: it never reconnects, it is replaced.

A client that reconnects sends what it had buffered: the later half of a window whose first half is lost. So a lost
connection is dropped with its buffer, and another one is opened.
"""

from __future__ import annotations

import asyncio

from relmachine.stream.bounds import StreamBounds
from relmachine.stream.connecting import connect
from relmachine.stream.connection import Connection, password_in, unreachable

_NAME = "relm publisher"


class Line:
    """A connection for publishing, the same for all until somebody finds it broken. Made by `open`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._replacing = asyncio.Lock()
        self._closed = False

    @staticmethod
    async def open(url: str, bounds: StreamBounds | None = None) -> Line:
        """Connect. Errors: `unreachable`."""
        return Line(await connect(url, name=_NAME, bounds=bounds, reconnect=False))

    @property
    def bounds(self) -> StreamBounds:
        """What it may take."""
        return self._connection.bounds

    @property
    def url(self) -> str:
        """Where it leads."""
        return self._connection.url

    @property
    def password(self) -> str:
        """What the server knows its login by; empty without one."""
        return password_in(self._connection.address)

    @property
    def body_bytes_max(self) -> int:
        """See `Connection.body_bytes_max`."""
        return self._connection.body_bytes_max

    async def usable(self) -> Connection:
        """A connection that is up. Errors: `unreachable` when there is none within `reconnect_seconds_max`."""
        if not self._connection.usable:
            await self.replace(self._connection)
        return self._connection

    async def replace(self, broken: Connection) -> None:
        """Drop `broken`, with everything it still held, and open another unless somebody just did.

        Errors: `unreachable`, also once the line is closed.
        """
        async with self._replacing:
            if self._connection is not broken:
                return
            await broken.drop()
            if self._closed:
                raise unreachable(broken.url, ConnectionError("the publisher was closed"))
            bounds = broken.bounds
            self._connection = await connect(
                broken.address,
                name=_NAME,
                bounds=bounds,
                reconnect=False,
                connect_seconds_max=bounds.reconnect_seconds_max,
            )

    async def close(self) -> None:
        """Let go of the connection. What is under way fails as `unreachable`."""
        self._closed = True
        await self._connection.close()
