"""From outbox to feeds: rows leave after their commit, in order per subject, and are dropped by a later commit.

The rows a round just committed are handed over in memory; what an earlier life of the node left behind is read once
from the store. Dropping rides along with the next commit, so that a feed costs no transaction of its own; when nothing
is being committed, the relay makes one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING

import structlog

from relmachine.errors import Code, RelmError
from relmachine.kernel.proposal import OutboxRow

if TYPE_CHECKING:
    from relmachine.store.port import Store
    from relmachine.stream.port import Feeds

_log = structlog.get_logger(__name__)

ROWS_PER_EMIT_MAX = 512
"""Rows published together."""

QUIET_SECONDS = 0.25
"""How long sent rows wait for a commit to ride along with."""

RETRY_SECONDS = 0.5
"""Pause after the stream could not be reached."""


class Relay:
    """Moves outbox rows to the feeds."""

    def __init__(self, store: Store, feeds: Feeds) -> None:
        self._store, self._feeds = store, feeds
        self._queue: deque[OutboxRow] = deque()
        self._sent: list[OutboxRow] = []
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Rows committed and not yet on a feed."""
        return len(self._queue)

    async def start(self) -> None:
        """Take up what an earlier life left, then run."""
        while left := await self._store.unsent(ROWS_PER_EMIT_MAX):
            sent = await self._feeds.emit(left)
            await self._store.commit((), sent)
        self._task = asyncio.create_task(self._run(), name="relay")

    def put(self, rows: Iterable[OutboxRow]) -> None:
        """Rows that are durable now."""
        self._queue.extend(rows)
        self._wake.set()

    @contextmanager
    def dropping(self) -> Generator[Sequence[OutboxRow]]:
        """Rows that have left, for the commit in the block to drop; a commit that raises leaves them for the next."""
        sent, self._sent = self._sent, []
        try:
            yield sent
        except BaseException:
            self._sent = [*sent, *self._sent]
            raise

    async def close(self) -> None:
        """Send what is there, drop it from the store, stop."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._emit_all()
        await self._drop()

    async def _run(self) -> None:
        while True:
            try:
                await self._emit_all()
                await self._rest()
            except asyncio.CancelledError:
                raise
            except Exception as error:
                _log.warning("feeds unreachable, will try again", error=str(error), waiting=len(self._queue))
                await asyncio.sleep(RETRY_SECONDS)

    async def _emit_all(self) -> None:
        """Publish until the queue is empty. Rows that did not leave stay, in their order, and end the attempt."""
        while self._queue:
            batch = list(islice(self._queue, ROWS_PER_EMIT_MAX))
            sent = await self._feeds.emit(batch)
            self._sent.extend(sent)
            gone = set(sent)
            for _ in batch:
                self._queue.popleft()
            self._queue.extendleft(reversed([row for row in batch if row not in gone]))
            if len(gone) < len(batch):
                raise RelmError(Code.UNREACHABLE, "some feed rows did not leave yet", rows=len(batch) - len(gone))

    async def _rest(self) -> None:
        """Wait for rows; after a quiet while, drop what was sent."""
        self._wake.clear()
        if self._queue:
            return
        try:
            await asyncio.wait_for(self._wake.wait(), QUIET_SECONDS if self._sent else None)
        except TimeoutError:
            await self._drop()

    async def _drop(self) -> None:
        with self.dropping() as sent:
            await self._store.commit((), sent)
