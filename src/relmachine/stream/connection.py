"""A connection to the stream: bounded in time, logged, with one inbox for all answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog
from nats.aio.client import Client
from nats.errors import Error

from relmachine.errors import Code, RelmError
from relmachine.stream.bounds import StreamBounds
from relmachine.stream.replies import Replies

if TYPE_CHECKING:
    from nats.js import JetStreamContext

_log = structlog.get_logger(__name__)


class Connection:
    """A client with its JetStream context and its inbox. Made by `connect`."""

    def __init__(self, client: Client, url: str, bounds: StreamBounds) -> None:
        self.client = client
        self.url = url
        self.bounds = bounds
        self.jetstream: JetStreamContext = client.jetstream(  # pyright: ignore[reportUnknownMemberType]
            timeout=bounds.answer_seconds_max
        )
        self.replies: Replies
        self._reconnected: list[Callable[[], None]] = []

    @property
    def usable(self) -> bool:
        """Whether it is connected now."""
        return self.client.is_connected

    def on_reconnect(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` after each reconnect and when the connection is given up; returns how to stop that."""
        self._reconnected.append(callback)
        return lambda: self._reconnected.remove(callback)

    async def close(self) -> None:
        """Send what is waiting and let go. May be called twice."""
        if self.client.is_closed:
            return
        try:
            if self.client.is_connected:
                await self.client.flush(timeout=2)
        except (Error, OSError, TimeoutError) as error:
            _log.debug("flush_failed", error=str(error))
        await self.client.close()

    def announce(self) -> None:
        """Tell everybody who waits that the connection is a new one."""
        for callback in tuple(self._reconnected):
            callback()


async def connect(
    url: str,
    *,
    name: str,
    bounds: StreamBounds | None = None,
    reconnect: bool = True,
    connect_seconds_max: float | None = None,
) -> Connection:
    """Connect to the server at `url` (`nats://host:port`).

    With `reconnect`, a lost connection is taken up again for `reconnect_seconds_max` and then closed for good; without,
    it is closed at once and nothing it still held is ever sent: the publisher needs that for order.
    Errors: `unreachable` when nobody answers within `connect_seconds_max`.
    """
    bounds = bounds or StreamBounds()
    patience = bounds.connect_seconds_max if connect_seconds_max is None else connect_seconds_max
    deadline = asyncio.get_running_loop().time() + patience
    while True:
        connection = Connection(Client(), url, bounds)
        try:
            async with asyncio.timeout_at(deadline):
                await _open(connection, name, bounds, reconnect)
                connection.replies = await Replies.on(connection.client)
            return connection
        except (Error, OSError, TimeoutError) as error:
            await connection.client.close()
            if asyncio.get_running_loop().time() + bounds.reconnect_wait_seconds > deadline:
                raise unreachable(url, error) from error
        await asyncio.sleep(bounds.reconnect_wait_seconds)


def unreachable(url: str, error: BaseException) -> RelmError:
    """The error for a stream that does not answer."""
    return RelmError(
        Code.UNREACHABLE,
        f"start the stream's server, or give the address where it listens: nobody answers at {url}",
        url=url,
        detail=str(error) or type(error).__name__,
    )


async def _open(connection: Connection, name: str, bounds: StreamBounds, reconnect: bool) -> None:
    async def failed(error: Exception) -> None:
        expected = isinstance(error, OSError) and not connection.client.is_connected
        (_log.debug if expected else _log.warning)("stream_error", connection=name, error=str(error) or repr(error))

    async def disconnected() -> None:
        _log.info("stream_disconnected", connection=name)

    async def reconnected() -> None:
        _log.info("stream_reconnected", connection=name)
        connection.announce()

    async def closed() -> None:
        connection.announce()

    await connection.client.connect(
        connection.url,
        name=name,
        error_cb=failed,
        disconnected_cb=disconnected,
        reconnected_cb=reconnected,
        closed_cb=closed,
        allow_reconnect=reconnect,
        connect_timeout=2,
        reconnect_time_wait=bounds.reconnect_wait_seconds,  # pyright: ignore[reportArgumentType]
        max_reconnect_attempts=max(1, int(bounds.reconnect_seconds_max / bounds.reconnect_wait_seconds)),
        inbox_prefix="_INBOX",
    )
