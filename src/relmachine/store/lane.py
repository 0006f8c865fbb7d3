"""The control lane in the store: one text of SQL for every adapter, and what people and runs read of it.

An effect is a row; what it does to the thread, and its message for the feed, are done by the schema's trigger in the
same transaction. So an effect without its consequence cannot be written, by nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from typing import Literal, cast

import orjson

from relmachine.errors import Code
from relmachine.kernel.lane import BUDGET, CANCEL, Asked, Budget, Effect
from relmachine.kernel.proposal import OutboxRow
from relmachine.kernel.verdicts import GateName
from relmachine.store.port import Reads

CONFLICT = orjson.dumps(
    {
        "code": Code.ID_CONFLICT,
        "gate": GateName.SHAPE,
        "sentence": "give a new request a new id: this (source, id) already belongs to another one",
        "witness": {},
    }
).decode()

_MEMBERS = ("thread", "seq", "record", "key", "payload", "evidence", "refusal", "label", "head", "state")
_ASKED = ", ".join(f"value ->> {place} AS {name}" for place, name in enumerate(_MEMBERS))

BEGIN = f"""
INSERT INTO threads (thread, label, head, epoch, seq, state)
SELECT a.thread, a.label, a.head, 0, 0, a.state FROM (SELECT {_ASKED} FROM json_each(?)) a
WHERE a.refusal = '' AND a.record <> 'resume' AND NOT EXISTS (SELECT 1 FROM threads t WHERE t.thread = a.thread)
"""
"""A thread that nothing was decided on yet can be told something: its row begins here."""

_OF_THREAD = "SELECT 1 FROM control_effects e WHERE e.thread = a.thread"

TAKE = f"""
INSERT INTO control_effects
  (thread, control_seq, record, step_key, at_seq, at_head, epoch, payload, evidence, outcome, refusal)
SELECT d.thread, d.seq, d.record, d.key, coalesce(t.seq, 0), coalesce(t.head, ''),
  coalesce(t.epoch, 0) + (d.outcome = 'applied' AND d.record IN ('cancel', 'close')
    AND d.payload ->> '$.request' IS NULL),
  d.payload, d.evidence, d.outcome, CASE WHEN d.outcome <> 'refused' OR d.refusal <> '' THEN d.refusal ELSE ?2 END
FROM (
  SELECT a.*, CASE
      WHEN a.refusal <> '' THEN 'refused'
      WHEN EXISTS ({_OF_THREAD} AND e.step_key = a.key AND (e.record, e.payload) IS (a.record, a.payload))
      THEN 'repeated'
      WHEN EXISTS ({_OF_THREAD} AND e.step_key = a.key) THEN 'refused'
      WHEN EXISTS (SELECT 1 FROM thread_stops s WHERE s.thread = a.thread
        AND (s.record = 'cancel' OR a.record <> 'cancel')) THEN 'unchanged'
      WHEN a.record = 'close' AND EXISTS (
        SELECT 1 FROM controls c WHERE c.thread = a.thread AND c.record = '_close') THEN 'unchanged'
      WHEN a.record IN ('pause', 'resume') AND (
        coalesce((SELECT fenced FROM threads t WHERE t.thread = a.thread), 0) = (a.record = 'pause')
        OR EXISTS ({_OF_THREAD} AND e.record IN ('pause', 'resume') AND e.control_seq > a.seq)) THEN 'unchanged'
      WHEN a.record = 'budget' AND EXISTS ({_OF_THREAD} AND e.record = 'budget' AND e.control_seq > a.seq)
      THEN 'unchanged'
      ELSE 'applied' END AS outcome
  FROM (SELECT {_ASKED} FROM json_each(?1)) a
  WHERE NOT EXISTS ({_OF_THREAD} AND e.control_seq = a.seq)
) d LEFT JOIN threads t ON t.thread = d.thread
"""
"""One record takes effect, or is found to have none; a second time nothing happens. Of two that came in the wrong
order, the later one on the stream has the last word."""

_COLUMNS = ", ".join(f"e.{name}" for name in Effect._fields)
EFFECTS = f"""
SELECT {_COLUMNS} FROM json_each(?) asked JOIN control_effects e
  ON e.thread = asked.value ->> 0 AND e.control_seq = asked.value ->> 1
"""
_FIRST = f"""
SELECT EXISTS (SELECT 1 FROM threads t WHERE t.thread = asked.thread), {_COLUMNS}
FROM (SELECT ? AS thread, ? AS key) asked
LEFT JOIN control_effects e ON e.thread = asked.thread AND e.step_key = asked.key ORDER BY e.control_seq LIMIT 1
"""
# Messages of effects are numbered from 1 in each thread: the few first rows of the outbox, whatever else waits there.
_WAITING = """
SELECT o.thread, o.seq, o.kind, o.body FROM outbox o
WHERE o.seq <= (SELECT max(told) FROM (SELECT count(*) AS told FROM control_effects e
    WHERE e.thread IN (SELECT value FROM json_each(?1)) GROUP BY e.thread))
  AND o.kind = 'effect' AND o.thread IN (SELECT value FROM json_each(?1))
ORDER BY o.seq
"""
_STOP = "SELECT record FROM thread_stops WHERE thread = ? ORDER BY record LIMIT 1"
_PAUSED = "SELECT 1 FROM threads WHERE thread = ? AND fenced"
_BUDGET = """
SELECT payload, at_seq, control_seq FROM control_effects
WHERE thread = ? AND record = ? AND outcome = 'applied' ORDER BY control_seq DESC LIMIT 1
"""
_ALL = f"SELECT {_COLUMNS} FROM control_effects e WHERE e.thread = ? ORDER BY e.control_seq DESC LIMIT ?"


def parameter(asked: Asked) -> str:
    """The record as the one parameter of `BEGIN` and the first of `TAKE`."""
    return orjson.dumps([astuple(asked)]).decode()


def places(asked: Sequence[Asked]) -> str:
    """The parameter of `EFFECTS`."""
    return orjson.dumps([(one.thread, one.sequence) for one in asked]).decode()


def effects_of(asked: Sequence[Asked], rows: Sequence[Sequence[object]]) -> list[Effect]:
    """The answer to `EFFECTS`, in the order of what was asked."""
    found = {effect[:2]: effect for effect in (Effect(*cast("tuple[str]", tuple(row))) for row in rows)}  # pyright: ignore[reportCallIssue]
    return [found[one.thread, one.sequence] for one in asked]


async def waiting(store: Reads, threads: Sequence[str]) -> list[OutboxRow]:
    """The messages of these threads' effects that have not left, in their order."""
    rows = (await store.select(_WAITING, (orjson.dumps(list(threads)).decode(),))).rows
    return [OutboxRow(*row) for row in rows]  # pyright: ignore[reportArgumentType]


async def effect_at(store: Reads, thread: str, sequence: int) -> Effect | None:
    """What became of the record at `sequence` of the control stream; None while that is not known."""
    rows = (await store.select(EFFECTS, (orjson.dumps([(thread, sequence)]).decode(),))).rows
    return Effect(*rows[0]) if rows else None  # pyright: ignore[reportArgumentType]


async def first_of_key(store: Reads, thread: str, key: str) -> tuple[bool, Effect | None]:
    """Whether the store knows `thread`, and the first effect there under a step key: what its repetitions repeat."""
    known, *row = (await store.select(_FIRST, (thread, key))).rows[0]
    return bool(known), None if row[0] is None else Effect(*row)  # pyright: ignore[reportArgumentType]


async def effects(store: Reads, thread: str, limit: int) -> list[Effect]:
    """What the thread was told, the newest first."""
    return [Effect(*row) for row in (await store.select(_ALL, (thread, limit))).rows]  # pyright: ignore[reportArgumentType]


async def stopped(store: Reads, thread: str) -> str:
    """`cancel` or `close` for a thread that was told so, a cancellation before a closing; else empty."""
    rows = (await store.select(_STOP, (thread,))).rows
    return cast(str, rows[0][0]) if rows else ""


async def standing(store: Reads, thread: str) -> Literal["open", "paused", "closed", "cancelled"]:
    """How the thread stands by what it was told; one that was merged into another is not told so."""
    if record := await stopped(store, thread):
        return "cancelled" if record == CANCEL else "closed"
    return "paused" if (await store.select(_PAUSED, (thread,))).rows else "open"


async def budget_of(store: Reads, thread: str) -> tuple[Budget, int, int] | None:
    """What the thread's runs may still spend, the cursor and the control sequence from which on that counts; None when
    nobody set it.
    """
    rows = (await store.select(_BUDGET, (thread, BUDGET))).rows
    if not rows:
        return None
    payload, at_seq, sequence = cast("tuple[str, int, int]", rows[0])
    return Budget.model_validate_json(payload), at_seq, sequence
