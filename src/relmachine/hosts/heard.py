"""What the other nodes committed, as their journal announces it: hints that came here for it need no call there.

A journal message leaves after the commit that it tells of, and names the store that has it. A machine may have several
stores, each with hints of its own, and one journal: only what this node's store has is noted, so what is noted is true.
What is missed, because a connection broke, a message came late, or another store told of it first, costs a call.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Protocol

import structlog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from relmachine.hosts.cursors import Cursors
    from relmachine.stream.follow import FeedMessage
    from relmachine.stream.topology import FeedKind

_log = structlog.get_logger(__name__)


class Following(Protocol):
    """Where feeds are followed: `stream.nats.NatsStream`."""

    def follow(self, kind: FeedKind) -> AbstractAsyncContextManager[AsyncIterator[FeedMessage]]:
        """Messages of all threads of the feed, from now on."""
        ...


class Heard:
    """Notes in `cursors` what the journal says of commits to the store `store_id`, from `start` to `close`."""

    def __init__(self, stream: Following, cursors: Cursors, store_id: str) -> None:
        self._stream, self._cursors, self._store_id = stream, cursors, store_id
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to listen."""
        self._task = asyncio.create_task(self._listen(), name="heard")

    async def close(self) -> None:
        """Listen no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _listen(self) -> None:
        try:
            async with self._stream.follow("journal") as messages:
                async for message in messages:
                    if message.store == self._store_id:
                        self._cursors.note(message.thread, message.sequence)
        except Exception as error:
            # The stream is given up: whoever needs it to work ends the node.
            _log.warning("the journal is not heard any more, hints cost more calls", error=repr(error))
