"""Threads as people and agents read them: where they stand, and what is settled there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from relmachine.store.points import At, page_rows, pages, resolve
from relmachine.store.port import Reads
from relmachine.store.thread_events import normal_form

_COLUMNS = """
SELECT t.thread, t.label, t.seq, t.head, t.epoch, t.state ->> '$.depth', t.state ->> '$.tier',
  (SELECT count(*) FROM rejections r WHERE r.thread = t.thread)
FROM threads t
"""
_BY_NAME = f"{_COLUMNS} WHERE t.thread > ?2 ORDER BY t.thread LIMIT ?1"
_NEWEST = f"{_COLUMNS} ORDER BY t.seq DESC LIMIT ?"
_ONE = f"{_COLUMNS} WHERE t.thread = ?"
# Where each claim went last: `newly` settled, or `superseded`.
_LAST = """
SELECT claim FROM (
  SELECT claim, kind, max(seq) FROM transitions WHERE thread = ? AND seq <= ? GROUP BY claim)
WHERE kind = ? ORDER BY claim
"""
_FIBER = "SELECT fiber_id, section_digest FROM histories WHERE history_id = ?"


@dataclass(frozen=True, slots=True)
class ThreadLine:
    """A thread in a list. `sequence` is its cursor, `history` its head, `depth` and `tier` those of that history."""

    thread: str
    label: str
    sequence: int
    history: str
    epoch: int
    depth: int
    tier: int
    rejections: int


@dataclass(frozen=True, slots=True)
class ThreadStanding:
    """Where a thread stands. `fiber` and `section_digest` are None while its history is empty."""

    line: ThreadLine
    normal_form: str
    settled: tuple[str, ...]
    fiber: str | None
    section_digest: str | None


async def threads(store: Reads, after: str = "", limit: int | None = None) -> list[ThreadLine]:
    """The threads whose token comes after `after`, by token: all of them, or the first `limit`."""
    found: list[ThreadLine] = []
    async for page in pages(store, _BY_NAME, (page_rows(limit),), (after,)):
        found += [_line(row) for row in page.rows]
        if limit is not None and len(found) >= limit:
            return found[:limit]
    return found


async def newest_threads(store: Reads, limit: int) -> list[ThreadLine]:
    """The `limit` threads that moved last, the newest first."""
    return [_line(row) for row in (await store.select(_NEWEST, (limit,))).rows]


async def thread(store: Reads, thread: str) -> ThreadStanding:
    """Where `thread` stands. Errors: `not_found`."""
    point = await resolve(store, thread)
    line = _line((await store.select(_ONE, (thread,))).rows[0])
    content = (await store.select(_FIBER, (point.history,))).rows
    fiber, section_digest = cast(tuple[str, str], content[0]) if content else (None, None)
    return ThreadStanding(
        line, await normal_form(store, thread), tuple(await settled(store, thread)), fiber, section_digest
    )


async def settled(store: Reads, thread: str, at: At = None) -> list[str]:
    """The claims settled in the thread's history at `at`, sorted. Errors: `not_found`."""
    return await _last(store, thread, at, "newly")


async def superseded(store: Reads, thread: str, at: At = None) -> list[str]:
    """The claims that had settled and are not in the thread's history at `at`, sorted. Errors: `not_found`."""
    return await _last(store, thread, at, "superseded")


async def _last(store: Reads, thread: str, at: At, kind: str) -> list[str]:
    point = await resolve(store, thread, at)
    return [cast(str, row[0]) for row in (await store.select(_LAST, (thread, point.sequence, kind))).rows]


def _line(row: tuple[object, ...]) -> ThreadLine:
    return ThreadLine(*row)  # pyright: ignore[reportArgumentType]
