"""Threads as people and agents read them: where they stand, their events, their history's normal form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import orjson

from relmachine.algebra.traces import normal_form as foata
from relmachine.store.points import At, pages, resolve
from relmachine.store.port import Reads

_PAGE_ROWS = 1000
_COLUMNS = """
SELECT t.thread, t.label, t.seq, t.head, t.epoch, t.state ->> '$.depth', t.state ->> '$.tier',
  (SELECT count(*) FROM rejections r WHERE r.thread = t.thread)
FROM threads t
"""
_BY_NAME = f"{_COLUMNS} WHERE t.thread > ?2 ORDER BY t.thread LIMIT ?1"
_NEWEST = f"{_COLUMNS} ORDER BY t.seq DESC LIMIT ?"
_ONE = f"{_COLUMNS} WHERE t.thread = ?"
_EVENTS = """
SELECT te.seq, e.step, e.tier, te.event_id, te.history_id, e.parents, e.step_key, e.payload, te.evidence
FROM thread_events te JOIN events e ON e.event_id = te.event_id
WHERE te.thread = ?1 AND te.seq <= ?2 AND te.seq > ?4 ORDER BY te.seq LIMIT ?3
"""
_STEPS = """
SELECT te.seq, e.step, e.tier FROM thread_events te JOIN events e ON e.event_id = te.event_id
WHERE te.thread = ? AND te.seq <= ? AND te.seq > ? ORDER BY te.seq LIMIT 5000
"""
_SETTLED = """
SELECT claim FROM (
  SELECT claim, kind, max(seq) FROM transitions WHERE thread = ? AND seq <= ? GROUP BY claim)
WHERE kind = 'newly' ORDER BY claim
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


@dataclass(frozen=True, slots=True)
class EventLine:
    """One event where it came in a thread: `history` is the one it led to. `evidence` is who, when and the trace."""

    sequence: int
    step: str
    tier: int
    event: str
    history: str
    parents: tuple[str, ...]
    step_key: str
    payload: dict[str, object]
    evidence: dict[str, str]


async def threads(store: Reads, after: str = "", limit: int | None = None) -> list[ThreadLine]:
    """The threads whose token comes after `after`, by token: all of them, or the first `limit`."""
    found: list[ThreadLine] = []
    async for page in pages(store, _BY_NAME, (_page(limit),), (after,)):
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


async def events(
    store: Reads, thread: str, at: At = None, *, after: int = 0, limit: int | None = None
) -> list[EventLine]:
    """The thread's events up to the point `at` in subject order: all after sequence `after`, or the first `limit`.

    Errors: `not_found`.
    """
    point = await resolve(store, thread, at)
    found: list[EventLine] = []
    async for page in pages(store, _EVENTS, (thread, point.sequence, _page(limit)), (after,)):
        found += [_event(row) for row in page.rows]
        if limit is not None and len(found) >= limit:
            return found[:limit]
    return found


async def normal_form(store: Reads, thread: str, at: At = None) -> str:
    """The Foata normal form of the thread's history at `at`, e.g. `(a b)(c)`. Errors: `not_found`."""
    point = await resolve(store, thread, at)
    names: dict[int, str] = {}
    tiers: list[int] = []
    async for page in pages(store, _STEPS, (thread, point.sequence), (0,)):
        for _, step, tier in page.rows:
            names[len(tiers)] = cast(str, step)
            tiers.append(cast(int, tier))
    return foata(names, range(len(tiers)), tiers)


async def settled(store: Reads, thread: str, at: At = None) -> list[str]:
    """The claims settled in the thread's history at `at`, sorted. Errors: `not_found`."""
    point = await resolve(store, thread, at)
    return [cast(str, row[0]) for row in (await store.select(_SETTLED, (thread, point.sequence))).rows]


def _page(limit: int | None) -> int:
    return _PAGE_ROWS if limit is None else min(limit, _PAGE_ROWS)


def _line(row: tuple[object, ...]) -> ThreadLine:
    return ThreadLine(*row)  # pyright: ignore[reportArgumentType]


def _event(row: tuple[object, ...]) -> EventLine:
    sequence, step, tier, event, history, parents, step_key, payload, evidence = cast(tuple[str, ...], row)
    return EventLine(
        cast(int, sequence),
        step,
        cast(int, tier),
        event,
        history,
        tuple(orjson.loads(parents)),
        step_key,
        orjson.loads(payload),
        orjson.loads(evidence),
    )
