"""The control lane in the store: how a record takes effect, one text of SQL for every adapter.

An effect is a row; what it does to the thread, and its message for the feed, are done by the schema's trigger in the
same transaction. So an effect without its consequence cannot be written, by nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from typing import cast

import orjson

from relmachine.errors import Code
from relmachine.kernel.lane import LANE, Asked, Effect
from relmachine.kernel.transitions import EFFECTS as LIFE
from relmachine.kernel.transitions import Does, RecordName, Standing
from relmachine.kernel.verdicts import GateName
from relmachine.store.port import Reads

EFFECTS_PER_THREAD_MAX = 4096
"""Effects kept for one thread, whatever their outcome; from then on only what stops it, or ends a pause, takes hold.
Other records leave no trace."""

CONFLICT = orjson.dumps(
    {
        "code": Code.ID_CONFLICT,
        "gate": GateName.SHAPE,
        "sentence": "give a new request a new id: this (source, id) already belongs to another one",
        "witness": {},
    }
).decode()

_MEMBERS = ("thread", "seq", "record", "key", "payload", "evidence", "refusal", "label", "head", "state", "astray")
_ASKED = ", ".join(f"value ->> {place} AS {name}" for place, name in enumerate(_MEMBERS))

BEGIN = f"""
INSERT INTO threads (thread, label, head, epoch, seq, state)
SELECT a.thread, a.label, a.head, 0, 0, a.state FROM (SELECT {_ASKED} FROM json_each(?)) a
WHERE a.refusal = '' AND a.record <> 'resume' AND NOT EXISTS (SELECT 1 FROM threads t WHERE t.thread = a.thread)
"""
"""A thread that nothing was decided on yet can be told something: its row begins here."""

_STANDING = f"""CASE
    WHEN EXISTS (SELECT 1 FROM thread_stops s WHERE s.thread = a.thread AND s.record = 'cancel')
    THEN '{Standing.CANCELLED}'
    WHEN EXISTS (SELECT 1 FROM thread_stops s WHERE s.thread = a.thread)
      OR EXISTS (SELECT 1 FROM controls c WHERE c.thread = a.thread AND c.record = '_close') THEN '{Standing.CLOSED}'
    WHEN (SELECT fenced FROM threads t WHERE t.thread = a.thread) THEN '{Standing.PAUSED}'
    ELSE '{Standing.OPEN}' END"""
_SO_ALREADY = ", ".join(
    f"('{standing}', '{record}')"
    for standing, row in LIFE.items()
    for record in LANE
    if row[RecordName(record)].does is Does.NO_EFFECT
)
"""Where a thread stands, and what does nothing to it there."""

_OF_THREAD = "SELECT 1 FROM control_effects e WHERE e.thread = a.thread"
# A record that was refused, or repeats another, is no word of its own.
_LATER = f"{_OF_THREAD} AND e.outcome IN ('applied', 'unchanged') AND e.control_seq > a.seq"
_REQUEST = "a.payload ->> '$.request'"
# A run that has not ended and was not told so, or one that the thread has yet to come to.
_RUN_TO_END = f"""NOT EXISTS (SELECT 1 FROM run_stops s WHERE s.thread = a.thread AND s.seq = {_REQUEST})
        AND iif(coalesce((SELECT t.seq FROM threads t WHERE t.thread = a.thread), 0) < {_REQUEST}, NOT a.astray,
          EXISTS (SELECT 1 FROM runs r WHERE r.thread = a.thread AND r.seq = {_REQUEST}) AND NOT EXISTS (
            SELECT 1 FROM run_ends n WHERE n.thread = a.thread AND n.seq = {_REQUEST}))"""

TAKE = f"""
INSERT INTO control_effects
  (thread, control_seq, record, step_key, at_seq, at_head, epoch, payload, evidence, outcome, refusal)
SELECT d.thread, d.seq, d.record, d.key, coalesce(t.seq, 0), coalesce(t.head, ''),
  coalesce(t.epoch, 0) + (d.outcome = 'applied' AND d.record IN ('cancel', 'close')),
  d.payload, d.evidence, d.outcome, CASE WHEN d.outcome <> 'refused' OR d.refusal <> '' THEN d.refusal ELSE ?2 END
FROM (
  SELECT a.*, CASE
      WHEN a.refusal <> '' THEN 'refused'
      WHEN EXISTS ({_OF_THREAD} AND e.step_key = a.key AND (e.record, e.payload) IS (a.record, a.payload))
      THEN 'repeated'
      WHEN EXISTS ({_OF_THREAD} AND e.step_key = a.key) THEN 'refused'
      WHEN ({_STANDING}, a.record) IN (VALUES {_SO_ALREADY}) THEN 'unchanged'
      WHEN a.record = 'cancel' AND {_REQUEST} IS NOT NULL THEN iif({_RUN_TO_END}, 'applied', 'unchanged')
      WHEN a.record IN ('pause', 'resume') AND EXISTS ({_LATER} AND e.record IN ('pause', 'resume')) THEN 'unchanged'
      WHEN a.record = 'budget' AND EXISTS ({_LATER} AND e.record = 'budget') THEN 'unchanged'
      ELSE 'applied' END AS outcome
  FROM (SELECT {_ASKED} FROM json_each(?1)) a
  WHERE NOT EXISTS ({_OF_THREAD} AND e.control_seq = a.seq)
    AND NOT EXISTS (SELECT 1 FROM foretold f WHERE f.thread = a.thread)
) d LEFT JOIN threads t ON t.thread = d.thread
WHERE (d.outcome = 'applied' AND d.record IN ('cancel', 'close', 'resume') AND d.payload ->> '$.request' IS NULL)
  OR (SELECT count(*) FROM control_effects n WHERE n.thread = d.thread) < {EFFECTS_PER_THREAD_MAX}
"""
"""One record takes effect, or is found to have none; a second time nothing happens. What it does where the thread
stands is what `kernel/lifecycle.toml` says. Of two that came in the wrong order, the later one on the stream has the
last word, unless it was refused or repeats another. One of a thread that has not come to what it was told before
waits."""


_TAKES_HOLD = f"""
SELECT a.record IN ('cancel', 'close', 'resume') AND a.payload ->> '$.request' IS NULL
  AND ({_STANDING}, a.record) NOT IN (VALUES {_SO_ALREADY})
FROM (SELECT ? AS thread, ? AS record, ? AS payload) a
"""


async def takes_hold(store: Reads, thread: str, record: str, payload: str) -> bool:
    """Whether a new record takes hold where the thread has `EFFECTS_PER_THREAD_MAX` effects."""
    return bool((await store.select(_TAKES_HOLD, (thread, record, payload))).rows[0][0])


def parameter(asked: Asked) -> str:
    """The record as the one parameter of `BEGIN` and the first of `TAKE`."""
    return orjson.dumps([astuple(asked)]).decode()


def places(asked: Sequence[Asked]) -> str:
    """The parameter of `EFFECTS`."""
    return orjson.dumps([(one.thread, one.sequence) for one in asked]).decode()


def effects_of(asked: Sequence[Asked], rows: Sequence[Sequence[object]]) -> list[Effect]:
    """The answer to `EFFECTS`, in the order of what was asked, but for records that left no trace."""
    found = {effect[:2]: effect for effect in (Effect(*cast("tuple[str]", tuple(row))) for row in rows)}  # pyright: ignore[reportCallIssue]
    return [found[place] for one in asked if (place := (one.thread, one.sequence)) in found]
