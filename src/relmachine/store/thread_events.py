"""The events of a thread as people and agents read them, and its history's normal form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import orjson

from relmachine.algebra.traces import normal_form as foata
from relmachine.store.points import At, page_rows, pages, resolve
from relmachine.store.port import Reads

_EVENTS = """
SELECT te.seq, e.step, e.tier, te.event_id, te.history_id, e.parents, e.step_key, e.payload, te.evidence
FROM thread_events te JOIN events e ON e.event_id = te.event_id
WHERE te.thread = ?1 AND te.seq <= ?2 AND te.seq > ?4 ORDER BY te.seq LIMIT ?3
"""
_STEPS = """
SELECT te.seq, e.step, e.tier FROM thread_events te JOIN events e ON e.event_id = te.event_id
WHERE te.thread = ? AND te.seq <= ? AND te.seq > ? ORDER BY te.seq LIMIT 5000
"""


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


async def events(
    store: Reads, thread: str, at: At = None, *, after: int = 0, limit: int | None = None
) -> list[EventLine]:
    """The thread's events up to the point `at` in subject order: all after sequence `after`, or the first `limit`.

    Errors: `not_found`.
    """
    point = await resolve(store, thread, at)
    found: list[EventLine] = []
    async for page in pages(store, _EVENTS, (thread, point.sequence, page_rows(limit)), (after,)):
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
