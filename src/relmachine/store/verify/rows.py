"""The stored rows of threads, commits and feeds as verification reads them: thread by thread, each in its own order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from relmachine.kernel.outcome_rows import OutboxRow
from relmachine.store.points import pages
from relmachine.store.port import Reads

BEFORE_ALL = -(2**63)
"""Below every number in a table."""

_T = TypeVar("_T")

_THREADS = """
SELECT t.thread, t.label, t.head, t.epoch, t.seq, t.state, t.fenced, t.snapshot_depth,
  coalesce((SELECT max(s.depth) FROM section_snapshots s WHERE s.thread = t.thread), 0),
  (SELECT count(*) FROM thread_fences s WHERE s.thread = t.thread),
  NOT EXISTS (SELECT 1 FROM thread_stops s WHERE s.thread = t.thread) AND coalesce((
    SELECT e.record = 'pause' FROM control_effects e
    WHERE e.thread = t.thread AND e.outcome = 'applied' AND e.record IN ('pause', 'resume')
    ORDER BY e.control_seq DESC LIMIT 1), 0)
FROM threads t WHERE t.thread > ? ORDER BY t.thread LIMIT 500
"""
_COMMITS = """
SELECT thread, from_seq, from_head, epoch, to_head, to_seq,
  (SELECT count(*) FROM thread_fences s WHERE s.thread = c.thread AND s.at_seq <= c.from_seq)
FROM commits c WHERE (thread, from_seq) > (?, ?) ORDER BY thread, from_seq LIMIT 500
"""
_OUTBOX = """
SELECT thread, seq, kind, body FROM outbox
WHERE (thread, seq, kind) > (?, ?, ?) AND kind <> 'effect' ORDER BY thread, seq, kind LIMIT 500
"""


@dataclass(frozen=True, slots=True)
class StoredThread:
    """A thread's row; `deepest` is the depth of its last snapshot, `stops` and `paused` say what the lane did."""

    thread: str
    label: str
    head: str
    epoch: int
    seq: int
    state: str
    fenced: int
    snapshot_depth: int
    deepest: int
    stops: int
    paused: int


@dataclass(frozen=True, slots=True)
class StoredCommit:
    """One commit of a thread; `stops` counts how often it had been stopped before."""

    thread: str
    from_seq: int
    from_head: str
    epoch: int
    to_head: str
    to_seq: int
    stops: int


class Ahead(Generic[_T]):
    """Items one by one, the next of which can be looked at."""

    def __init__(self, items: AsyncIterator[_T]) -> None:
        self._items = items
        self._next: _T | None = None

    async def look(self) -> _T | None:
        """The next item, None after the last; it stays the next."""
        if self._next is None:
            self._next = await anext(self._items, None)
        return self._next

    async def take(self) -> _T | None:
        """The next item, None after the last."""
        item, self._next = await self.look(), None
        return item


async def stored_threads(store: Reads) -> AsyncIterator[StoredThread]:
    """All threads."""
    async for page in pages(store, _THREADS, (), ("",)):
        for row in page.rows:
            yield StoredThread(*row)  # pyright: ignore[reportArgumentType]


async def stored_commits(store: Reads) -> AsyncIterator[StoredCommit]:
    """The commits of all threads, each thread's first to last."""
    async for page in pages(store, _COMMITS, (), ("", BEFORE_ALL)):
        for row in page.rows:
            yield StoredCommit(*row)  # pyright: ignore[reportArgumentType]


async def stored_outbox(store: Reads) -> AsyncIterator[OutboxRow]:
    """What turns wrote and has not left, in the order of threads."""
    async for page in pages(store, _OUTBOX, (), ("", BEFORE_ALL, "")):
        for row in page.rows:
            yield OutboxRow(*row)  # pyright: ignore[reportArgumentType]
