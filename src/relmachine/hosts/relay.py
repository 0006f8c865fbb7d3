"""From outbox to feeds: rows leave after their commit, in order per subject, and are dropped by a later commit.

The rows a round just committed are handed over in memory. Everything else is read from the store: what an earlier life
of this node or another node left, what did not fit, what a failed commit may have written. In memory the rows of a
subject are always the oldest that have not left, without a gap, so a subject is never ahead of itself; two nodes that
send the same rows do no harm, since a feed takes each once. Dropping rides along with the next commit, so that a feed
costs no transaction of its own; when nothing is being committed, the relay makes one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

from relmachine.hosts.queued import QueuedRows, Subject, body_bytes
from relmachine.store.port import UNSENT_BYTES_MAX

if TYPE_CHECKING:
    from relmachine.kernel.outcome_rows import OutboxRow
    from relmachine.store.port import Store
    from relmachine.stream.port import Feeds

_log = structlog.get_logger(__name__)

ROWS_PER_EMIT_MAX = 512
"""Rows published together."""

ROWS_WAITING_MAX = 20_000
"""Rows kept in memory; more wait in the store."""

BYTES_WAITING_MAX = UNSENT_BYTES_MAX
"""Bytes of their bodies, the last one aside, and of one answer of the store."""

QUIET_SECONDS = 0.25
"""How long sent rows wait for a commit to ride along with."""

RETRY_SECONDS = 0.5
"""Pause after the stream, or a subject, took nothing."""

ORPHAN_SECONDS = 5.0
"""A row that nobody has sent for this long, and up to twice as long, is sent by whoever sees it."""

ORPHANS_MAX = 1_000
"""Oldest rows looked at for orphans."""

CLOSE_SECONDS_MAX = 3.0
"""How long closing tries to send what is left and to drop it; the rest leaves in the next life."""


class Relay:
    """Moves outbox rows to the feeds."""

    def __init__(self, store: Store, feeds: Feeds) -> None:
        self._store, self._feeds = store, feeds
        self._queued = QueuedRows()
        self._behind = True
        self._strangers: set[str] = set()
        self._arriving: list[OutboxRow] | None = None
        self._seen: frozenset[tuple[int, str, str]] = frozenset()
        self._look_again = 0.0
        self._sent: list[OutboxRow] = []
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Rows in memory that are committed and not yet on a feed."""
        return len(self._queued)

    def start(self) -> None:
        """Run; what an earlier life left goes first."""
        self._look_again = asyncio.get_running_loop().time() + ORPHAN_SECONDS
        self._task = asyncio.create_task(self._run(), name="relay")

    def put(self, rows: Iterable[OutboxRow], strangers: Collection[str] = ()) -> None:
        """Rows that are durable now. Of `strangers`, threads that another node may have moved before, the store is
        asked for the rows that come first.
        """
        arrived = list(rows)
        self._strangers.update(row.thread for row in arrived if row.thread in strangers)
        direct = [row for row in arrived if row.thread not in self._strangers]
        if self._arriving is not None:
            self._arriving.extend(direct)
        elif not self._behind:
            self._queued.add(direct)
            self._behind = len(self._queued) > ROWS_WAITING_MAX or self._queued.bytes > BYTES_WAITING_MAX
        self._wake.set()

    def gone(self, rows: Iterable[OutboxRow]) -> None:
        """Rows that somebody else put on their feeds: they are dropped with those sent here."""
        self._sent.extend(rows)
        self._wake.set()

    def fall_behind(self) -> None:
        """A commit failed without telling whether it is durable: the store knows what there is to send."""
        self._behind = True
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
        """Send what is there, drop it from the store, stop. What cannot leave now stays in the store."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        try:
            async with asyncio.timeout(CLOSE_SECONDS_MAX):
                await self._emit_all()
                await self._drop()
        except Exception as error:
            _log.warning(
                "closed before the outbox was empty: the next start goes on with it",
                error=repr(error),
                unsent=len(self._queued),
                undropped=len(self._sent),
            )

    async def _run(self) -> None:
        while True:
            try:
                await self._work()
            except Exception as error:
                _log.warning("feeds unreachable, will try again", error=repr(error), waiting=len(self._queued))
                await asyncio.sleep(RETRY_SECONDS)

    async def _work(self) -> None:
        moved = await self._emit_all()
        stuck = len(self._queued)
        if self._behind or self._strangers:
            await self._catch_up()
        elif asyncio.get_running_loop().time() >= self._look_again:
            await self._adopt_orphans()
        if len(self._queued) > stuck:
            return
        if self._behind and stuck and not moved:
            # Nothing leaves and the store has nothing else: asked again at once, it would say the same.
            await asyncio.sleep(RETRY_SECONDS)
        else:
            await self._rest(RETRY_SECONDS if stuck else ORPHAN_SECONDS)

    async def _emit_all(self) -> bool:
        """Publish what is there; whether anything left. A subject that does not take its rows is passed over for this
        time."""
        stuck: set[Subject] = set()
        moved = False
        while batch := self._queued.first(ROWS_PER_EMIT_MAX, stuck):
            sent = await self._feeds.emit(batch)
            self._sent.extend(sent)
            stuck |= self._queued.tried(batch, sent)
            moved = moved or bool(sent)
        return moved

    async def _catch_up(self) -> None:
        """Take what the store has of the strangers, or of all threads when behind, beside what is in memory."""
        await self._drop()
        behind, strangers = self._behind, self._strangers
        self._behind, self._strangers, self._arriving = False, set(), []
        try:
            found = await self._store.unsent(ROWS_WAITING_MAX, None if behind else sorted(strangers), BYTES_WAITING_MAX)
        except BaseException:
            self._behind, self._arriving = True, None
            raise
        arrived, self._arriving = self._arriving, None
        known = self._queued.rows()
        self._queued.add(row for row in found if row not in known)
        if len(found) == ROWS_WAITING_MAX or sum(map(body_bytes, found)) >= BYTES_WAITING_MAX:
            self._behind = True
        else:
            known.update(found)
            self._queued.add(row for row in arrived if row not in known)

    async def _adopt_orphans(self) -> None:
        """Threads whose rows were there at the last look as well, and nobody here is sending: their node is gone."""
        await self._drop()
        found = await self._store.unsent(ORPHANS_MAX)
        keys = {(row.seq, row.kind, row.thread) for row in found}
        self._strangers |= {thread for _, _, thread in keys & self._seen} - self._queued.threads()
        self._seen = frozenset(keys)
        self._look_again = asyncio.get_running_loop().time() + ORPHAN_SECONDS

    async def _rest(self, seconds_max: float) -> None:
        """Wait for rows; after a quiet while, drop what was sent, and in time look for orphans."""
        if self._behind or self._strangers:
            return
        self._wake.clear()
        until_look = self._look_again - asyncio.get_running_loop().time()
        quiet = QUIET_SECONDS if self._sent else seconds_max
        try:
            async with asyncio.timeout(max(0.0, min(until_look, quiet, seconds_max))):
                await self._wake.wait()
        except TimeoutError:
            await self._drop()

    async def _drop(self) -> None:
        with self.dropping() as sent:
            if sent:
                await self._store.commit((), sent)
