"""The stored rows of one thread as verification reads them: each step with everything that hangs on it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import cast

from relmachine.store import tables
from relmachine.store.points import pages
from relmachine.store.port import Reads
from relmachine.store.tables import Target

Row = tuple[object, ...]
Rows = dict[Target, list[Row]]
"""Stored rows by table."""

HISTORY = Target("histories", tables.HISTORIES.columns[:6])
"""A history's content, without the place where it was first reached."""


def _columns(target: Target, alias: str) -> str:
    return ", ".join(f"{alias}.{name}" for name in target.columns)


# One row for each event; every relation that hangs on it as a JSON array of rows.
_EVENTS = f"""
SELECT te.seq,
  json_array({_columns(tables.THREAD_EVENTS, "te")}), json_array({_columns(tables.EVENTS, "e")}),
  json_array({_columns(HISTORY, "h")}),
  (SELECT json_group_array(json_array(x.source, te.history_id, x.step)) FROM history_extensions x
    WHERE x.target = h.number AND x.step = e.step),
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
WHERE te.thread = ? AND te.seq > ? ORDER BY te.seq LIMIT 100
"""
_SINGLE = (tables.THREAD_EVENTS, tables.EVENTS, HISTORY)
_MANY = (tables.EXTENSIONS, tables.CLAIMS, tables.CONTRIBUTIONS, tables.RECEIPTS, tables.TRANSITIONS)
_REJECTIONS = f"""
SELECT j.seq, json_array({_columns(tables.REJECTIONS, "j")}),
  (SELECT json_group_array(json_array({_columns(tables.RECEIPTS, "r")})) FROM receipts r
    WHERE r.thread = j.thread AND r.step_key = j.step_key AND r.seq = j.seq)
FROM rejections j WHERE j.thread = ? AND j.seq > ? ORDER BY j.seq LIMIT 100
"""
_COMMITS = """
SELECT from_seq, from_head, epoch, to_head, to_seq FROM commits
WHERE thread = ? AND from_seq > ? ORDER BY from_seq LIMIT 500
"""


@dataclass(frozen=True, slots=True)
class StoredStep:
    """A decided step: committed when it has a row in `events`, else refused."""

    sequence: int
    rows: Rows

    @property
    def event(self) -> dict[str, object]:
        """The `events` row by column; empty for a refused step."""
        rows = self.rows.get(tables.EVENTS)
        return dict(zip(tables.EVENTS.columns, rows[0], strict=True)) if rows else {}


@dataclass(frozen=True, slots=True)
class StoredCommit:
    """One commit of the thread."""

    from_seq: int
    from_head: str
    epoch: int
    to_head: str
    to_seq: int


async def stored_steps(store: Reads, thread: str) -> AsyncIterator[StoredStep]:
    """Committed and refused steps of `thread`, in subject order."""
    committed, refused = _committed(store, thread), _refused(store, thread)
    event, rejection = await anext(committed, None), await anext(refused, None)
    while event is not None or rejection is not None:
        if rejection is None or (event is not None and event.sequence <= rejection.sequence):
            assert event is not None
            yield event
            event = await anext(committed, None)
        else:
            yield rejection
            rejection = await anext(refused, None)


async def stored_commits(store: Reads, thread: str) -> AsyncIterator[StoredCommit]:
    """The commits of `thread`, first to last."""
    async for page in pages(store, _COMMITS, (thread,), (-1,)):
        for row in page.rows:
            yield StoredCommit(*row)  # pyright: ignore[reportArgumentType]


async def _committed(store: Reads, thread: str) -> AsyncIterator[StoredStep]:
    async for page in pages(store, _EVENTS, (thread,), (0,)):
        for seq, *texts in page.rows:
            # Not orjson: it refuses damaged text, which has to come through here to be named.
            parsed = [json.loads(cast(str, text)) for text in texts]
            rows: Rows = {target: [tuple(row)] for target, row in zip(_SINGLE, parsed, strict=False)}
            for target, many in zip(_MANY, parsed[len(_SINGLE) :], strict=True):
                rows[target] = sorted(tuple(row) for row in many)
            yield StoredStep(cast(int, seq), rows)


async def _refused(store: Reads, thread: str) -> AsyncIterator[StoredStep]:
    async for page in pages(store, _REJECTIONS, (thread,), (0,)):
        for seq, rejection, receipts in page.rows:
            rows: Rows = {
                tables.REJECTIONS: [tuple(json.loads(cast(str, rejection)))],
                tables.RECEIPTS: [tuple(row) for row in json.loads(cast(str, receipts))],
            }
            yield StoredStep(cast(int, seq), rows)
