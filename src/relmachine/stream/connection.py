"""A connection to the stream: bounded in time, with one inbox for all answers."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import structlog
from nats.errors import Error

from relmachine.errors import Code, RelmError
from relmachine.stream.bounds import HEADER_BYTES_MAX, StreamBounds
from relmachine.stream.client import TolerantClient
from relmachine.stream.replies import Replies

if TYPE_CHECKING:
    from nats.js import JetStreamContext

_log = structlog.get_logger(__name__)

_FORBIDDEN_KEPT_MAX = 100


class Connection:
    """A client with its JetStream context and its inbox. Made by `connecting.connect`.

    `address` is where it connects, several servers of one cluster separated by commas, with their logins; `url` is the
    same to be shown, without logins. `generation` counts how often the connection
    was lost and found. `closing` says that its end is wanted.
    """

    def __init__(self, client: TolerantClient, address: str, bounds: StreamBounds) -> None:
        self.client = client
        self.address = address
        self.url = without_logins(address)
        self.bounds = bounds
        self.jetstream: JetStreamContext = client.jetstream(  # pyright: ignore[reportUnknownMemberType]
            timeout=bounds.answer_seconds_max
        )
        self.replies: Replies
        self.generation = 0
        self.closing = False
        self.forbidden: deque[str] = deque(maxlen=_FORBIDDEN_KEPT_MAX)
        """What the server said of requests that the login may not make, newest last."""
        self._reconnected: list[Callable[[], None]] = []

    @property
    def usable(self) -> bool:
        """Whether it is connected now."""
        return self.client.is_connected

    @property
    def body_bytes_max(self) -> int:
        """The longest body that the stream and the server connected to both take, beside our headers."""
        return min(self.bounds.message_bytes_max, self.client.max_payload) - HEADER_BYTES_MAX

    @property
    def greeting(self) -> Mapping[str, object]:
        """What the server connected to says of itself: `version`, `jetstream` and more."""
        return self.client._server_info  # pyright: ignore[reportPrivateUsage, reportUnknownVariableType, reportUnknownMemberType]

    async def heard(self) -> None:
        """Return once the server has read all that was sent before, and its objections are here. Errors: of nats-py.

        The client writes a ping past what still waits in its buffer, so the first one only empties that.
        """
        for _ in range(2):
            await self.client.flush(timeout=max(1, int(self.bounds.answer_seconds_max)))

    def on_reconnect(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` after each reconnect and when the connection is given up; returns how to stop that."""
        self._reconnected.append(callback)
        return lambda: self._reconnected.remove(callback)

    async def close(self) -> None:
        """Send what is waiting and let go, by force after `close_seconds_max`. May be called twice."""
        self.closing = True
        if self.client.is_closed:
            return
        try:
            async with asyncio.timeout(self.bounds.close_seconds_max):
                if self.client.is_connected:
                    await self.client.flush(timeout=max(1, int(self.bounds.close_seconds_max / 2)))
                await self.client.close()
        except (Error, OSError, TimeoutError) as error:
            _log.info("stream_closed_by_force", url=self.url, error=str(error) or type(error).__name__)
            await self.client.abort()
            self.announce()

    async def drop(self) -> None:
        """Let go at once; what is waiting is never sent."""
        self.closing = True
        await self.client.abort()
        self.announce()

    def announce(self) -> None:
        """Tell everybody who waits that the connection is a new one, or none any more."""
        self.generation += 1
        for callback in tuple(self._reconnected):
            callback()

    def given_up(self) -> RelmError:
        """The error for a connection that is closed for good, with what closed it."""
        cause = self.client.unreadable or self.client.last_error
        return unreachable(self.url, cause or ConnectionError("the connection was given up"))


def without_logins(address: str) -> str:
    """The address to be shown: a login in it is for servers, not for logs and pages."""
    return re.sub(r"(^|//|,\s*)[^/,@\s]*@", r"\1", address)


def password_in(address: str) -> str:
    """The first password in the address, empty when it has none."""
    found = re.search(r"//[^/@,:\s]*:([^/@,\s]+)@", address)
    return found[1] if found else ""


def unreachable(address: str, error: BaseException) -> RelmError:
    """The error for a stream that does not answer."""
    url = without_logins(address)
    return RelmError(
        Code.UNREACHABLE,
        f"nobody answers at {url}: start a NATS server with JetStream there (`nats-server -js`), or name one that runs "
        "(`relm dev MACHINE --nats nats://HOST:PORT`); without an address a node starts its own",
        url=url,
        detail=str(error) or type(error).__name__,
    )
