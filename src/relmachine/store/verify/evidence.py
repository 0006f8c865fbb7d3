"""Verification that the evidence of every decided step is complete: one outcome, one life, and who answers for it.

Nothing is computed again here. A row that is missing is missed by those that name it: an event by its place in a
thread, a place by the receipt of its step key, a receipt by the step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple, cast

import orjson

from relmachine.errors import Code
from relmachine.kernel.answer import Reason
from relmachine.kernel.control import ANSWER
from relmachine.kernel.lifecycle import ABORTED, COMMITTED, REFUSED
from relmachine.kernel.verdicts import GateName
from relmachine.store.points import pages
from relmachine.store.port import Reads
from relmachine.store.verify.fault import Fault, reason, shown
from relmachine.store.verify.rows import BEFORE_ALL

_PASSED = {str(gate): "pass" for gate in (GateName.SHAPE, GateName.POLICY, GateName.LAWS)}


def _rows_at(table: str, alias: str) -> str:
    """How many rows `table` has at the thread and sequence of `alias`."""
    return f"(SELECT count(*) FROM {table} WHERE thread = {alias}.thread AND seq = {alias}.seq) AS {table}"


def _end_at(alias: str) -> str:
    """Of the run, or the held step, that ended at the thread and sequence of `alias`: where it came, and its life."""
    at = f"n.thread = {alias}.thread AND n.at_seq = {alias}.seq"

    def ended(column: str) -> str:
        return " UNION ALL ".join(f"SELECT n.{column} FROM {table} n WHERE {at}" for table in ("run_ends", "held_ends"))

    return f"({ended('seq')}) AS came_at, ({ended('lifecycle')}) AS ended"


# Each row begins with its key. `receipts` are those of the step's own key.
_EVENTS = f"""
SELECT te.thread, te.seq, te.place, {_rows_at("thread_events", "te")}, {_rows_at("rejections", "te")},
  {_rows_at("controls", "te")}, {_end_at("te")}, e.event_id, e.lifecycle, e.verdicts, te.evidence,
  EXISTS (SELECT 1 FROM plans p WHERE p.plan_digest = e.plan_digest) AS planned,
  (SELECT r.seq FROM receipts r WHERE r.thread = te.thread AND r.step_key = e.step_key) AS receipt
FROM thread_events te LEFT JOIN events e ON e.event_id = te.event_id
WHERE (te.thread, te.seq, te.place) > (?, ?, ?) ORDER BY te.thread, te.seq, te.place LIMIT 500
"""
_REJECTIONS = f"""
SELECT j.thread, j.seq, {_rows_at("controls", "j")}, {_end_at("j")},
  j.step_key, j.gate, j.code, j.sentence, j.lifecycle,
  (SELECT r.seq FROM receipts r WHERE r.thread = j.thread AND r.step_key = j.step_key) AS receipt
FROM rejections j WHERE (j.thread, j.seq) > (?, ?) ORDER BY j.thread, j.seq LIMIT 500
"""
_CONTROLS = """
SELECT k.thread, k.seq, k.evidence, k.record,
  (SELECT count(*) FROM run_answers a WHERE a.thread = k.thread AND a.at_seq = k.seq) AS run_answers,
  (SELECT r.seq FROM receipts r WHERE r.thread = k.thread AND r.step_key = k.step_key) AS receipt
FROM controls k WHERE (k.thread, k.seq) > (?, ?) ORDER BY k.thread, k.seq LIMIT 500
"""
_RECEIPTS = f"""
SELECT r.thread, r.step_key, r.seq, {_rows_at("thread_events", "r")}, {_rows_at("rejections", "r")},
  {_rows_at("controls", "r")}, {_rows_at("runs", "r")}, {_rows_at("held", "r")}, r.outcome
FROM receipts r WHERE (r.thread, r.step_key) > (?, ?) ORDER BY r.thread, r.step_key LIMIT 500
"""
_RUNS = """
SELECT r.thread, r.seq, r.evidence,
  EXISTS (SELECT 1 FROM frozen_plans f WHERE f.frozen_digest = r.frozen_digest) AS planned,
  (SELECT count(*) FROM run_attempts a WHERE a.thread = r.thread AND a.seq = r.seq) AS attempts,
  (SELECT count(*) FROM run_answers a WHERE a.thread = r.thread AND a.seq = r.seq) AS answers,
  (SELECT a.reason FROM run_answers a WHERE a.thread = r.thread AND a.seq = r.seq ORDER BY a.attempt DESC) AS reason,
  e.lifecycle, e.at_seq, (SELECT k.seq FROM receipts k WHERE k.thread = r.thread AND k.step_key = r.step_key) AS receipt
FROM runs r LEFT JOIN run_ends e ON e.thread = r.thread AND e.seq = r.seq
WHERE (r.thread, r.seq) > (?, ?) ORDER BY r.thread, r.seq LIMIT 500
"""
_HELD = """
SELECT h.thread, h.seq, h.evidence,
  EXISTS (SELECT 1 FROM held_ends e WHERE e.thread = h.thread AND e.seq = h.seq) AS ended,
  (SELECT json_type(t.state, '$.waiting."' || h.seq || '"') IS NOT NULL FROM threads t WHERE t.thread = h.thread)
    AS waits,
  (SELECT k.seq FROM receipts k WHERE k.thread = h.thread AND k.step_key = h.step_key) AS receipt
FROM held h WHERE (h.thread, h.seq) > (?, ?) ORDER BY h.thread, h.seq LIMIT 500
"""

_Row = dict[str, object]
_Wrongs = Iterator[tuple[str, object, object]]
"""What differs, with what is stored and what should be."""


class _Pass(NamedTuple):
    """One pass over the rows of `sql` from `start`; `wrong` is all that is wrong with a row."""

    sql: str
    start: tuple[object, ...]
    wrong: Callable[[_Row], _Wrongs]


async def check_evidence(store: Reads, counts: Counter[str]) -> Fault | None:
    """The first step or record whose evidence is not complete. Counts as `evidence` the steps that were decided.

    Errors: as `Reads.select`.
    """
    for each in _PASSES:
        async for page in pages(store, each.sql, (), each.start):
            for row in page.dicts():
                fault = _fault(each, row)
                if fault is not None:
                    return fault
                counts["evidence"] += _decided(each, row)
    return None


def _fault(each: _Pass, row: _Row) -> Fault | None:
    try:
        differs, stored, wanted = next(each.wrong(row), ("", "", ""))
    except Exception as error:  # a damaged row may break the reading of it anywhere
        differs, stored, wanted = "evidence: cannot be read", "", reason(error)
    if not differs:
        return None
    event = shown(row.get("event_id") or "")
    return Fault(cast(str, row["thread"]), cast(int, row["seq"]), event, differs, shown(stored), shown(wanted))


def _decided(each: _Pass, row: _Row) -> int:
    """Whether the row is a step's own outcome; what a fork or a merge brought was decided elsewhere."""
    own = not row.get("controls") or row.get("ended") is not None
    return int(own and each.wrong in (_of_rejection, _of_event))


def _of_event(row: _Row) -> _Wrongs:
    if row["event_id"] is None:
        yield "thread_events: of an event that is not there", row["place"], ""
    ended = row["ended"]
    brought = bool(row["controls"]) and ended is None
    if ended not in (None, COMMITTED):
        yield "lifecycle of the end: of an event", ended, COMMITTED
    outcomes = cast(int, row["rejections"]) + (1 if brought else cast(int, row["thread_events"]))
    if outcomes != 1:
        yield "evidence: outcomes of one step", outcomes, 1
    if row["lifecycle"] != COMMITTED:
        yield "events.lifecycle", row["lifecycle"], COMMITTED
    if orjson.loads(cast(str, row["verdicts"])) != _PASSED:
        yield "events.verdicts: not those of all three gates", row["verdicts"], _PASSED
    if not row["planned"]:
        yield "events.plan_digest: no such plan", "", ""
    yield from _principal("thread_events", row)
    at = row["seq"] if ended is None else row["came_at"]
    if row["receipt"] is None or (row["receipt"] != at and not brought):
        yield "receipts: none of the step's key", row["receipt"], at


def _of_rejection(row: _Row) -> _Wrongs:
    if row["ended"] is not None and (row["ended"] == COMMITTED or row["ended"] != row["lifecycle"]):
        yield "rejections.lifecycle: of what ended otherwise", row["lifecycle"], row["ended"]
    if row["controls"] and row["ended"] is None:  # one that is committed too was met among the events
        yield "evidence: outcomes of one record", "applied, and refused", 1
    if row["lifecycle"] not in (REFUSED, ABORTED):
        yield "rejections.lifecycle", row["lifecycle"], f"{REFUSED!r} or {ABORTED}"
    GateName(cast(str, row["gate"]))
    Code(cast(str, row["code"]))
    if not row["sentence"]:
        yield "rejections.sentence: empty", "", ""
    receipt = cast("int | None", row["receipt"])
    if row["step_key"] and (receipt is None or receipt > cast(int, row["seq"])):
        yield "receipts: none of the step's key", receipt, row["seq"]


def _of_control(row: _Row) -> _Wrongs:
    yield from _principal("controls", row)
    if row["record"] == ANSWER and row["run_answers"] != 1:
        yield "run_answers: of a record that took effect", row["run_answers"], 1
    if row["receipt"] != row["seq"]:
        yield "receipts: none of the record's key", row["receipt"], row["seq"]


def _of_run(row: _Row) -> _Wrongs:
    yield from _principal("runs", row)
    if not row["planned"]:
        yield "runs.frozen_digest: no such plan", "", ""
    if row["receipt"] != row["seq"]:
        yield "receipts: none of the step's key", row["receipt"], row["seq"]
    open_attempts = 1 if row["at_seq"] is None else 0
    if row["attempts"] != cast(int, row["answers"]) + open_attempts:
        yield "run_attempts: without an answer", row["attempts"], row["answers"]
    if row["at_seq"] is not None and row["lifecycle"] == COMMITTED and row["reason"] != Reason.DONE:
        yield "run_ends.lifecycle: of a run that was not done", row["lifecycle"], row["reason"]


_HOME = {"committed": "thread_events", "refused": "rejections", "applied": "controls", "opened": "runs", "held": "held"}


def _of_held(row: _Row) -> _Wrongs:
    yield from _principal("held", row)
    if row["ended"] == row["waits"]:
        yield "held_ends: not what its thread knows of the step", row["ended"], 1 - cast(int, row["waits"])
    if row["receipt"] != row["seq"]:
        yield "receipts: none of the step's key", row["receipt"], row["seq"]


def _of_receipt(row: _Row) -> _Wrongs:
    outcome = orjson.loads(cast(str, row["outcome"]))["outcome"]
    if not row[_HOME[outcome]]:
        yield f"receipts: its step has no row in {_HOME[outcome]}", row["step_key"], ""


def _principal(table: str, row: _Row) -> _Wrongs:
    if not orjson.loads(cast(str, row["evidence"])).get("principal"):
        yield f"{table}.evidence: no principal", row["evidence"], ""


_PASSES = (
    _Pass(_EVENTS, ("", BEFORE_ALL, BEFORE_ALL), _of_event),
    _Pass(_REJECTIONS, ("", BEFORE_ALL), _of_rejection),
    _Pass(_CONTROLS, ("", BEFORE_ALL), _of_control),
    _Pass(_RUNS, ("", BEFORE_ALL), _of_run),
    _Pass(_HELD, ("", BEFORE_ALL), _of_held),
    _Pass(_RECEIPTS, ("", ""), _of_receipt),
)
