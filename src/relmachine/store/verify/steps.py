"""The stored rows of decided steps as verification reads them, each with everything that hangs on it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import cast

from relmachine.store import tables
from relmachine.store.points import pages
from relmachine.store.port import Reads
from relmachine.store.tables import Target
from relmachine.store.verify.rows import BEFORE_ALL, Ahead

Row = tuple[object, ...]
Rows = dict[Target, list[Row]]
"""Stored rows by table."""


def _columns(target: Target, alias: str) -> str:
    return ", ".join(f"{alias}.{name}" for name in target.columns)


# One row for each event that a step of the thread became; every relation that hangs on it as a JSON array of rows. What
# a fork or a merge brought is left out here. The last column says which history is where this one is said to be.
_EVENTS = f"""
SELECT te.thread, te.seq,
  json_array({_columns(tables.THREAD_EVENTS, "te")}), json_array({_columns(tables.EVENTS, "e")}),
  json_array({_columns(tables.HISTORIES, "h")}),
  (SELECT json_group_array(json_array(x.source, te.history_id, x.step)) FROM history_extensions x
    WHERE x.target = h.number AND x.step = e.step),
  (SELECT json_group_array(json_array(e.event_id, c.claim, c.touch)) FROM event_claims c WHERE c.event = e.number),
  (SELECT json_group_array(json_array(e.event_id, c.field, c.value)) FROM event_contributions c
    WHERE c.event = e.number),
  (SELECT json_group_array(json_array({_columns(tables.RECEIPTS, "r")})) FROM receipts r
    WHERE r.thread = te.thread AND r.step_key = e.step_key AND r.seq = te.seq),
  (SELECT json_group_array(json_array({_columns(tables.TRANSITIONS, "t")})) FROM transitions t
    WHERE t.thread = te.thread AND t.seq = te.seq),
  json_quote((SELECT f.history_id FROM thread_events f
    WHERE f.thread = h.thread AND f.seq = h.seq AND f.place = h.place))
FROM thread_events te
LEFT JOIN events e ON e.event_id = te.event_id
LEFT JOIN histories h ON h.history_id = te.history_id
WHERE NOT EXISTS (SELECT 1 FROM controls k WHERE k.thread = te.thread AND k.seq = te.seq)
  AND (te.thread, te.seq) > (?, ?) ORDER BY te.thread, te.seq LIMIT 500
"""
_RECORDS = f"""
SELECT k.thread, k.seq, json_array({_columns(tables.CONTROLS, "k")})
FROM controls k WHERE (k.thread, k.seq) > (?, ?) ORDER BY k.thread, k.seq LIMIT 500
"""
_OPENINGS = f"""
SELECT r.thread, r.seq, json_array({_columns(tables.RUNS, "r")})
FROM runs r WHERE (r.thread, r.seq) > (?, ?) ORDER BY r.thread, r.seq LIMIT 500
"""
_HOLDINGS = f"""
SELECT h.thread, h.seq, json_array({_columns(tables.HELD, "h")})
FROM held h WHERE (h.thread, h.seq) > (?, ?) ORDER BY h.thread, h.seq LIMIT 500
"""
_SINGLE = (tables.THREAD_EVENTS, tables.EVENTS, tables.HISTORIES)
_MANY = (tables.EXTENSIONS, tables.CLAIMS, tables.CONTRIBUTIONS, tables.RECEIPTS, tables.TRANSITIONS)
# The receipt of a refused step's key may be its own, or that of an earlier step.
_REJECTIONS = f"""
SELECT j.thread, j.seq, json_array({_columns(tables.REJECTIONS, "j")}),
  (SELECT json_group_array(json_array({_columns(tables.RECEIPTS, "r")})) FROM receipts r
    WHERE r.thread = j.thread AND r.step_key = j.step_key)
FROM rejections j
WHERE NOT EXISTS (SELECT 1 FROM controls k WHERE k.thread = j.thread AND k.seq = j.seq)
  AND (j.thread, j.seq) > (?, ?) ORDER BY j.thread, j.seq LIMIT 500
"""


@dataclass(frozen=True, slots=True)
class StoredStep:
    """A decided step: committed when it has a row in `events`, else refused."""

    thread: str
    sequence: int
    rows: Rows
    event: dict[str, object]
    """The `events` row by column; empty for a refused step."""
    earlier: list[Row]
    """Of a refused step, the receipt that an earlier step has under its key."""


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """What has a turn of its own, as its row in the table `home`: a control record that took effect, a step that opened
    a run, or one that was held.
    """

    thread: str
    sequence: int
    row: Row
    home: Target = tables.CONTROLS


async def stored_steps(store: Reads) -> AsyncIterator[StoredStep | StoredRecord]:
    """Committed and refused steps, steps that opened runs or were held, and control records of all threads, in subject
    order.
    """
    kinds: tuple[Ahead[StoredStep] | Ahead[StoredRecord], ...] = (
        Ahead(_committed(store)),
        Ahead(_refused(store)),
        Ahead(_records(store, _RECORDS, tables.CONTROLS)),
        Ahead(_records(store, _OPENINGS, tables.RUNS)),
        Ahead(_records(store, _HOLDINGS, tables.HELD)),
    )
    while True:
        heads = [await kind.look() for kind in kinds]
        following = [(_place(item), index) for index, item in enumerate(heads) if item is not None]
        if not following:
            return
        first = await kinds[min(following)[1]].take()
        assert first is not None
        yield first


def _place(step: StoredStep | StoredRecord) -> tuple[str, int]:
    return step.thread, step.sequence


async def _committed(store: Reads) -> AsyncIterator[StoredStep]:
    async for page in pages(store, _EVENTS, (), ("", BEFORE_ALL)):
        for thread, seq, *texts in page.rows:
            # Not orjson: it refuses damaged text, which has to come through here to be named.
            parsed = [json.loads(cast(str, text)) for text in texts]
            rows: Rows = {target: [tuple(row)] for target, row in zip(_SINGLE, parsed, strict=False)}
            *others, there = parsed[len(_SINGLE) :]
            for target, many in zip(_MANY, others, strict=True):
                rows[target] = sorted(tuple(row) for row in many)
            ((*history, _, _, _),) = rows[tables.HISTORIES]
            if there is not None and there == history[0]:
                # Two threads may reach one history by themselves; its place is that of either.
                rows[tables.HISTORIES] = [(*history, thread, seq, 0)]
            event = dict(zip(tables.EVENTS.columns, rows[tables.EVENTS][0], strict=True))
            yield StoredStep(cast(str, thread), cast(int, seq), rows, event, [])


async def _records(store: Reads, sql: str, home: Target) -> AsyncIterator[StoredRecord]:
    async for page in pages(store, sql, (), ("", BEFORE_ALL)):
        for thread, seq, row in page.rows:
            yield StoredRecord(cast(str, thread), cast(int, seq), tuple(json.loads(cast(str, row))), home)


async def _refused(store: Reads) -> AsyncIterator[StoredStep]:
    async for page in pages(store, _REJECTIONS, (), ("", BEFORE_ALL)):
        for thread, seq, rejection, receipts in page.rows:
            found = [tuple(row) for row in json.loads(cast(str, receipts))]
            rows: Rows = {
                tables.REJECTIONS: [tuple(json.loads(cast(str, rejection)))],
                tables.RECEIPTS: [row for row in found if row[4] == seq],
            }
            yield StoredStep(cast(str, thread), cast(int, seq), rows, {}, [row for row in found if row[4] < seq])
