"""One wildcard inbox for every answer that a connection waits for.

A subscription per request costs a round trip and a task; this costs a dictionary entry. Handlers run inside the
client's read loop, so they only sort the message away: they never block, and what they raise is logged here.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Any, cast

import structlog

from relmachine.stream.addressing import escaped

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg

Handler = Callable[["Msg"], None]

_log = structlog.get_logger(__name__)


class Sink:
    """Hands each message of a subscription to `handler` at once.

    nats-py gives a subscription with a *future* its messages from the read loop, without a queue and a task switch in
    between; this is such a future that can be set any number of times.
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    def cancelled(self) -> bool:
        """Never: the subscription lives until it is removed."""
        return False

    def set_result(self, message: Msg) -> None:
        """Called by the client for each message."""
        try:
            self._handler(message)
        except Exception:
            _log.exception("handler_failed", subject=escaped(message.subject))


async def subscribe(client: Client, subject: str, handler: Handler) -> Callable[[], Any]:
    """Call `handler` for each message on `subject`; returns the coroutine function that unsubscribes."""
    sink = cast(Any, Sink(handler))
    subscription = await client.subscribe(subject, future=sink)  # pyright: ignore[reportUnknownMemberType]
    return subscription.unsubscribe


class Replies:
    """Reply subjects under one inbox, each with a handler of its own."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._handlers: dict[str, Handler] = {}
        self._tokens = count()

    @staticmethod
    async def on(client: Client) -> Replies:
        """Subscribe the inbox on `client`. It survives reconnects, as subscriptions do."""
        replies = Replies(client.new_inbox() + ".")
        await subscribe(client, replies._prefix + "*", replies._dispatch)
        return replies

    def open(self, handler: Handler) -> str:
        """A reply subject whose messages go to `handler` until `close`."""
        token = str(next(self._tokens))
        self._handlers[token] = handler
        return self._prefix + token

    def close(self, subject: str) -> None:
        """Forget the reply subject; later answers are dropped."""
        self._handlers.pop(subject[len(self._prefix) :], None)

    def _dispatch(self, message: Msg) -> None:
        handler = self._handlers.get(message.subject[len(self._prefix) :])
        if handler is not None:
            handler(message)
