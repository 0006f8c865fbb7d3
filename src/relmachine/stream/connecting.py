"""How a connection comes about: addresses, patience, and what is logged of its life."""

from __future__ import annotations

import asyncio

import structlog
from nats.aio.client import Client
from nats.errors import Error

from relmachine.errors import Code, RelmError
from relmachine.stream.bounds import StreamBounds
from relmachine.stream.client import TolerantClient
from relmachine.stream.connection import Connection, unreachable, without_logins
from relmachine.stream.replies import Replies

_log = structlog.get_logger(__name__)


async def connect(
    url: str,
    *,
    name: str,
    bounds: StreamBounds | None = None,
    reconnect: bool = True,
    connect_seconds_max: float | None = None,
) -> Connection:
    """Connect to the server at `url` (`nats://host:port`), or to one of several separated by commas.

    With `reconnect`, a lost connection is taken up again for `reconnect_seconds_max` and then closed for good; without,
    it is closed at once and nothing it still held is ever sent: the publisher needs that for order.
    Errors: `unreachable` when nobody answers within `connect_seconds_max`, or at once for what is no address;
    `stream_unfit` for a login that is not taken.
    """
    bounds = bounds or StreamBounds()
    patience = bounds.connect_seconds_max if connect_seconds_max is None else connect_seconds_max
    loop = asyncio.get_running_loop()
    servers, deadline = addresses(url), loop.time() + patience
    while True:
        connection = Connection(TolerantClient(), url, bounds)
        try:
            async with asyncio.timeout_at(deadline):
                await _open(connection, servers, name, reconnect)
                connection.replies = await Replies.on(connection.client)
            return connection
        except (Error, OSError, TimeoutError) as error:
            await connection.drop()
            if "authorization violation" in f"{error} {connection.client.last_error}".lower():
                raise _not_let_in(connection) from error
            if loop.time() + bounds.reconnect_wait_seconds > deadline:
                raise unreachable(url, connection.client.last_error or error) from error
        except BaseException:
            await connection.drop()
            raise
        await asyncio.sleep(bounds.reconnect_wait_seconds)


def addresses(url: str) -> list[str]:
    """The addresses in `url`. Errors: `unreachable` for what is none."""
    found = [part.strip() for part in url.split(",") if part.strip()]
    try:
        for address in found:
            Client._parse_server_uri(address)  # pyright: ignore[reportPrivateUsage]
    except (Error, ValueError) as error:
        found = []
        detail = without_logins(str(error))
    else:
        detail = "no address"
    if not found:
        sentence = "give the address of a NATS server as nats://HOST:PORT, several of one cluster separated by commas"
        given = without_logins(url)
        raise RelmError(Code.UNREACHABLE, f"{sentence}; {given!r} is none", url=given, detail=detail)
    return found


def _not_let_in(connection: Connection) -> RelmError:
    sentence = (
        f"the server at {connection.url} does not take the login: give one that it knows (nats://USER:PASSWORD@HOST)"
    )
    return RelmError(Code.STREAM_UNFIT, sentence, url=connection.url)


async def _open(connection: Connection, servers: list[str], name: str, reconnect: bool) -> None:
    bounds = connection.bounds

    async def failed(error: Exception) -> None:
        if "permissions violation" in str(error).lower():
            connection.forbidden.append(str(error))
        expected = isinstance(error, OSError) and not connection.client.is_connected
        (_log.debug if expected else _log.warning)("stream_error", connection=name, error=str(error) or repr(error))

    async def disconnected() -> None:
        (_log.debug if connection.closing else _log.warning)("stream_disconnected", connection=name)

    async def reconnected() -> None:
        _log.info("stream_reconnected", connection=name)
        connection.announce()

    async def closed() -> None:
        connection.announce()

    await connection.client.connect(
        servers,
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
