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


# One row for each event; every relation that hangs on it as a JSON array of rows.
_EVENTS = f"""
SELECT te.thread, te.seq,
  json_array({_columns(tables.THREAD_EVENTS, "te")}), json_array({_columns(tables.EVENTS, "e")}),
  json_array({_columns(tables.HISTORIES, "h")}),
  (SELECT json_group_array(json_array(x.source, te.history_id, x.step)) FROM history_extensions x
    WHERE x.target = h.number),
  (SELECT json_group_array(json_array(e.event_id, c.claim, c.touch)) FROM event_claims c WHERE c.event = e.number),
  (SELECT json_group_array(json_array(e.event_id, c.field, c.value)) FROM event_contributions c
    WHERE c.event = e.number),
  (SELECT json_group_array(json_array({_columns(tables.RECEIPTS, "r")})) FROM receipts r
    WHERE r.thread = te.thread AND r.step_key = e.step_key AND r.seq = te.seq),
  (SELECT json_group_array(json_array({_columns(tables.TRANSITIONS, "t")})) FROM transitions t
    WHERE t.thread = te.thread AND t.seq = te.seq)
FROM thread_events te
LEFT JOIN events e ON e.event_id = te.event_id
LEFT JOIN histories h ON h.history_id = te.history_id
WHERE (te.thread, te.seq) > (?, ?) ORDER BY te.thread, te.seq LIMIT 500
"""
_SINGLE = (tables.THREAD_EVENTS, tables.EVENTS, tables.HISTORIES)
_MANY = (tables.EXTENSIONS, tables.CLAIMS, tables.CONTRIBUTIONS, tables.RECEIPTS, tables.TRANSITIONS)
# The receipt of a refused step's key may be its own, or that of an earlier step.
_REJECTIONS = f"""
SELECT j.thread, j.seq, json_array({_columns(tables.REJECTIONS, "j")}),
  (SELECT json_group_array(json_array({_columns(tables.RECEIPTS, "r")})) FROM receipts r
    WHERE r.thread = j.thread AND r.step_key = j.step_key)
FROM rejections j WHERE (j.thread, j.seq) > (?, ?) ORDER BY j.thread, j.seq LIMIT 500
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


async def stored_steps(store: Reads) -> AsyncIterator[StoredStep]:
    """Committed and refused steps of all threads, in subject order."""
    committed, refused = Ahead(_committed(store)), Ahead(_refused(store))
    while True:
        event, rejection = await committed.look(), await refused.look()
        if event is None and rejection is None:
            return
        if rejection is None or (event is not None and _place(event) <= _place(rejection)):
            assert event is not None
            yield event
            await committed.take()
        else:
            yield rejection
            await refused.take()


def _place(step: StoredStep) -> tuple[str, int]:
    return step.thread, step.sequence


async def _committed(store: Reads) -> AsyncIterator[StoredStep]:
    async for page in pages(store, _EVENTS, (), ("", BEFORE_ALL)):
        for thread, seq, *texts in page.rows:
            # Not orjson: it refuses damaged text, which has to come through here to be named.
            parsed = [json.loads(cast(str, text)) for text in texts]
            rows: Rows = {target: [tuple(row)] for target, row in zip(_SINGLE, parsed, strict=False)}
            for target, many in zip(_MANY, parsed[len(_SINGLE) :], strict=True):
                rows[target] = sorted(tuple(row) for row in many)
            event = dict(zip(tables.EVENTS.columns, rows[tables.EVENTS][0], strict=True))
            yield StoredStep(cast(str, thread), cast(int, seq), rows, event, [])


async def _refused(store: Reads) -> AsyncIterator[StoredStep]:
    async for page in pages(store, _REJECTIONS, (), ("", BEFORE_ALL)):
        for thread, seq, rejection, receipts in page.rows:
            found = [tuple(row) for row in json.loads(cast(str, receipts))]
            rows: Rows = {
                tables.REJECTIONS: [tuple(json.loads(cast(str, rejection)))],
                tables.RECEIPTS: [row for row in found if row[4] == seq],
            }
            yield StoredStep(cast(str, thread), cast(int, seq), rows, {}, [row for row in found if row[4] < seq])
