"""The questions whose answers decide what is written next: one text for every store, and what the answers mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import cast

import orjson

from relmachine.kernel.outcome_rows import OutboxRow
from relmachine.kernel.state import ThreadState, load_state
from relmachine.store.port import Receipt

STANDS = """(t.seq > 0 OR EXISTS (SELECT 1 FROM control_effects told WHERE told.thread = t.thread)
  OR EXISTS (SELECT 1 FROM foretold told WHERE told.thread = t.thread))"""
"""A row of `threads t` at sequence 0 says nothing, whoever begins the thread replaces it; but for one that was told
something on the control lane, or will be."""

STATES = f"""
SELECT t.thread, t.head, t.seq, t.epoch, t.state, t.fenced, coalesce((
  SELECT min(s.record) FROM thread_stops s WHERE s.thread = t.thread), ''), coalesce((
  SELECT min(f.at_seq) FROM foretold f WHERE f.thread = t.thread), 0)
FROM json_each(?) asked JOIN threads t ON t.thread = asked.value AND {STANDS}
"""
RECEIPTS = """
SELECT r.thread, r.step_key, r.step, r.payload_digest, r.seq, r.outcome
FROM json_each(?) asked
JOIN receipts r ON r.thread = asked.value ->> 0 AND r.step_key = asked.value ->> 1
"""
CONTRIBUTIONS = """
SELECT field, value FROM thread_contributions
WHERE thread = ? AND field IN (SELECT value FROM json_each(?)) ORDER BY seq, place
"""
UNSENT = """
WITH RECURSIVE page (seq, kind, thread, rows, bytes) AS (
  SELECT 0, '', '', 0, 0
  UNION ALL
  SELECT o.seq, o.kind, o.thread, page.rows + 1, page.bytes + length(CAST(o.body AS BLOB))
  FROM page JOIN outbox o ON (o.seq, o.kind, o.thread) = (
    SELECT n.seq, n.kind, n.thread FROM outbox n
    WHERE (n.seq, n.kind, n.thread) > (page.seq, page.kind, page.thread)
      AND (?2 IS NULL OR n.thread IN (SELECT value FROM json_each(?2)))
    ORDER BY n.seq, n.kind, n.thread LIMIT 1)
  WHERE page.rows < ?1 AND page.bytes < ?3
)
SELECT o.thread, o.seq, o.kind, o.body FROM page JOIN outbox o USING (seq, kind, thread) ORDER BY page.rows
"""
"""Walks row by row and ends with the one that fills the bound: a running sum over all rows would read every body."""

Row = tuple[object, ...]


def asked(names: Sequence[object]) -> str:
    """The parameter that names what is asked for."""
    return orjson.dumps(list(names)).decode()


def states_of(rows: Iterable[Row]) -> Mapping[str, ThreadState]:
    """The answer to `STATES`, by thread."""
    found: dict[str, ThreadState] = {}
    for *stored, fenced, stopped, until in rows:
        state = load_state(*cast(tuple[str, str, int, int, str], tuple(stored)))
        told = replace(state, stopped=cast(str, stopped), paused=bool(fenced), until=cast(int, until))
        found[state.thread] = told
    return found


def receipts_of(rows: Iterable[Row]) -> Mapping[tuple[str, str], Receipt]:
    """The answer to `RECEIPTS`, by thread and step key."""
    found = (Receipt(*cast(tuple[str, str, str, str, int, str], row)) for row in rows)
    return {(receipt.thread, receipt.step_key): receipt for receipt in found}


def contributions_of(fields: Sequence[str], rows: Iterable[Row]) -> Mapping[str, Sequence[str]]:
    """The answer to `CONTRIBUTIONS`, by field; a field that nothing was contributed to is there too."""
    found: dict[str, list[str]] = {name: [] for name in fields}
    for name, value in cast("Iterable[tuple[str, str]]", rows):
        found[name].append(value)
    return found


def outbox_of(rows: Iterable[Row]) -> Sequence[OutboxRow]:
    """The answer to `UNSENT`."""
    return [OutboxRow(*row) for row in rows]  # pyright: ignore[reportArgumentType]
