"""The events of a thread as people and agents read them, and its history's normal form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import orjson

from relmachine.algebra.traces import normal_form as foata
from relmachine.store.points import At, page_rows, pages, resolve
from relmachine.store.port import Reads

_EVENTS = """
SELECT te.seq, te.place, e.step, e.tier, te.event_id, te.history_id, e.parents, e.step_key, e.payload, te.evidence
FROM thread_events te JOIN events e ON e.event_id = te.event_id
WHERE te.thread = ?1 AND te.seq <= ?2 AND (te.seq, te.place) > (?4, ?5) ORDER BY te.seq, te.place LIMIT ?3
"""
_LAST = 2**63 - 1
"""Above every place."""
_STEPS = """
SELECT te.seq, te.place, e.step, e.tier FROM thread_events te JOIN events e ON e.event_id = te.event_id
WHERE te.thread = ? AND te.seq <= ? AND (te.seq, te.place) > (?, ?) ORDER BY te.seq, te.place LIMIT 5000
"""


@dataclass(frozen=True, slots=True)
class EventLine:
    """One event where it came in a thread: `history` is the one it led to. `evidence` is who, when and the trace.

    Of those that a fork or a merge brought, `sequence` is that record's and `place` counts them from 0.
    """

    sequence: int
    place: int
    step: str
    tier: int
    event: str
    history: str
    parents: tuple[str, ...]
    step_key: str
    payload: dict[str, object]
    evidence: dict[str, str | int]


async def events(
    store: Reads, thread: str, at: At = None, *, after: int = 0, limit: int | None = None
) -> list[EventLine]:
    """The thread's events up to the point `at` in subject order: all after sequence `after`, or the first `limit`.

    What one fork or merge brought is never parted: then there may be more than `limit`. Errors: `not_found`.
    """
    point = await resolve(store, thread, at)
    found: list[EventLine] = []
    async for page in pages(store, _EVENTS, (thread, point.sequence, page_rows(limit)), (after, _LAST)):
        found += [_event(row) for row in page.rows]
        if limit is not None and len(found) > limit and found[-1].sequence != found[limit - 1].sequence:
            last = found[limit - 1].sequence
            return [line for line in found if line.sequence <= last]
    return found


async def normal_form(store: Reads, thread: str, at: At = None) -> str:
    """The Foata normal form of the thread's history at `at`, e.g. `(a b)(c)`. Errors: `not_found`."""
    point = await resolve(store, thread, at)
    names: dict[int, str] = {}
    tiers: list[int] = []
    async for page in pages(store, _STEPS, (thread, point.sequence), (0, -1)):
        for _, _, step, tier in page.rows:
            names[len(tiers)] = cast(str, step)
            tiers.append(cast(int, tier))
    return foata(names, range(len(tiers)), tiers)


def _event(row: tuple[object, ...]) -> EventLine:
    sequence, place, step, tier, event, history, parents, step_key, payload, evidence = cast(tuple[str, ...], row)
    return EventLine(
        cast(int, sequence),
        cast(int, place),
        step,
        cast(int, tier),
        event,
        history,
        tuple(orjson.loads(parents)),
        step_key,
        orjson.loads(payload),
        orjson.loads(evidence),
    )
