"""One thread's part of an export: every message is made again from what was decided on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import cast

import orjson

from relmachine.errors import Code, RelmError
from relmachine.kernel.control import ANSWER, CLOSE, MERGE
from relmachine.kernel.envelope import ANONYMOUS
from relmachine.replay.exported import (
    EXPORT_BYTES_MAX,
    ExportedAttempt,
    ExportedEvent,
    ExportedMessage,
    ExportedRun,
    ExportedStop,
)
from relmachine.store.answers import answer_at
from relmachine.store.points import pages
from relmachine.store.port import Reads

# What was refused or repeated has no body; where it was, the thread's cursor was.
_PLACES = """
SELECT seq, step FROM (
  SELECT thread, seq, step FROM rejections UNION ALL SELECT thread, to_seq, '_' FROM commits)
WHERE thread = ? AND seq > ? ORDER BY seq LIMIT 1000
"""
_EVENTS = """
SELECT te.seq, te.place, te.event_id, te.history_id, e.step, e.step_key, e.payload, te.evidence,
  EXISTS (SELECT 1 FROM controls k WHERE k.thread = te.thread AND k.seq = te.seq)
FROM thread_events te JOIN events e ON e.event_id = te.event_id
WHERE te.thread = ? AND (te.seq, te.place) > (?, ?) ORDER BY te.seq, te.place LIMIT 1000
"""
_RUNS = """
SELECT r.seq, r.step, r.step_key, r.payload, r.payload_digest, r.evidence, coalesce(e.at_seq, 0), e.outcome,
  (SELECT json_group_array(json_array(a.attempt, a.at_seq, a.view, n.at_seq, n.reason, n.frozen_digest))
    FROM run_attempts a LEFT JOIN run_answers n ON (n.thread, n.seq, n.attempt) = (a.thread, a.seq, a.attempt)
    WHERE a.thread = r.thread AND a.seq = r.seq)
FROM runs r LEFT JOIN run_ends e ON e.thread = r.thread AND e.seq = r.seq
WHERE r.thread = ? AND r.seq > ? ORDER BY r.seq LIMIT 1000
"""
_HELD = """
SELECT seq, step, step_key, payload, evidence FROM held WHERE thread = ? AND seq > ? ORDER BY seq LIMIT 1000
"""
_CONTROLS = """
SELECT seq, record, step_key, payload, evidence FROM controls WHERE thread = ? AND seq > ? ORDER BY seq LIMIT 1000
"""
# A merge that was obstructed was refused, and is asked for all the same: what was resolved is told by it.
_OBSTRUCTED = """
SELECT o.seq, o.other, r.step_key FROM obstructions o JOIN rejections r ON r.thread = o.thread AND r.seq = o.seq
WHERE o.thread = ? AND o.seq > ? GROUP BY o.seq ORDER BY o.seq LIMIT 1000
"""
_OBSTRUCTING = """
SELECT o.seq - 1, o.thread, r.step_key FROM obstructions o JOIN rejections r ON r.thread = o.thread AND r.seq = o.seq
WHERE o.other = ? AND o.seq - 1 > ? GROUP BY o.seq ORDER BY o.seq LIMIT 1000
"""
_STOPS = "SELECT record, at_seq FROM thread_stops WHERE thread = ? ORDER BY control_seq"


class Room:
    """Bytes that an export has left."""

    def __init__(self, thread: str) -> None:
        self._thread, self._left = thread, EXPORT_BYTES_MAX

    def take(self, size: int) -> None:
        """Errors: `limit_exceeded` when there are not so many."""
        self._left -= size
        if self._left < 0:
            sentence = f"thread {self._thread!r} and its family are more than an export may have: export a fork of it"
            raise RelmError(Code.LIMIT_EXCEEDED, sentence, thread=self._thread, export_bytes_max=EXPORT_BYTES_MAX)


class Recorded:
    """One thread as a store has it; `room` is shared by a whole export."""

    def __init__(self, store: Reads, thread: str, room: Room) -> None:
        self._store, self._thread, self._room = store, thread, room
        self.messages: dict[int, ExportedMessage] = {}
        self.events: list[ExportedEvent] = []
        self.runs: list[ExportedRun] = []
        self.stops: list[ExportedStop] = []

    async def read(self) -> Recorded:
        """Read it all; what is known by more than its place comes last, and stays."""
        async for sequence, step in self._rows(_PLACES, (0,)):
            self._add(cast(int, sequence), cast(str, step), "")
        await self.read_events()
        async for sequence, step, *rest in self._rows(_HELD, (0,)):
            self._add(cast(int, sequence), cast(str, step), _body(step, *rest))
        await self.read_runs()
        await self._read_controls()
        for record, after in (await self._store.select(_STOPS, (self._thread,))).rows:
            self.stops.append(ExportedStop.model_validate({"thread": self._thread, "record": record, "after": after}))
        return self

    async def read_events(self) -> None:
        """Add the events, and the messages that they came in; those that a record brought came in none of their own."""
        async for row in self._rows(_EVENTS, (0, -1)):
            sequence, place, event, history, step, key, payload, evidence, joined = row
            if not joined:
                self._add(cast(int, sequence), cast(str, step), _body(step, key, payload, evidence))
            told = {"sequence": sequence, "place": place, "event": event, "history": history}
            self.events.append(ExportedEvent.model_validate({"thread": self._thread, **told}))
            self._room.take(len(str(told)))

    async def read_runs(self) -> None:
        """Add the runs, and their requests."""
        async for row in self._rows(_RUNS, (0,)):
            sequence, step, key, payload, digest, evidence, ended, outcome, attempts = row
            self._add(cast(int, sequence), cast(str, step), _body(step, key, payload, evidence))
            told = {"request": sequence, "step": step, "payload_digest": digest, "ended": ended}
            told["outcome"] = None if outcome is None else orjson.loads(cast(str, outcome))
            told["attempts"] = _attempts(cast(str, attempts))
            self.runs.append(ExportedRun.model_validate({"thread": self._thread, **told}))
            self._room.take(len(str(told)))

    async def _read_controls(self) -> None:
        async for sequence, other, key in self._rows(_OBSTRUCTED, (0,)):
            body = _body(MERGE, key, orjson.dumps({"source": other}).decode(), "{}")
            self._add(cast(int, sequence), MERGE, body)
        async for sequence, other, key in self._rows(_OBSTRUCTING, (0,)):
            body = _body(CLOSE, key, orjson.dumps({"target": other}).decode(), "{}")
            self._add(cast(int, sequence), CLOSE, body)
        async for row in self._rows(_CONTROLS, (0,)):
            sequence, record, key, payload, evidence = row
            if record == ANSWER:
                payload = await self._answer(cast(int, sequence))
            self._add(cast(int, sequence), cast(str, record), _body(record, key, payload, evidence))

    async def _answer(self, sequence: int) -> str:
        found = await answer_at(self._store, self._thread, sequence)
        assert found is not None, "a record of an answer has its rows"
        return found.model_dump_json(exclude_defaults=True)

    def _add(self, sequence: int, step: str, body: str) -> None:
        self._room.take(len(body))
        self.messages[sequence] = ExportedMessage(sequence=sequence, thread=self._thread, step=step, body=body)

    async def _rows(self, sql: str, after: Sequence[int]) -> AsyncIterator[tuple[object, ...]]:
        async for page in pages(self._store, sql, (self._thread,), tuple(after)):
            for row in page.rows:
                yield row


def _attempts(text: str) -> list[ExportedAttempt]:
    """The attempts of a run, from the JSON array that the store makes of them."""
    names = ("attempt", "began", "view", "answered", "reason", "plan")
    rows = cast("list[list[object]]", orjson.loads(text))
    told = ({name: value for name, value in zip(names, row, strict=True) if value is not None} for row in rows)
    return sorted((ExportedAttempt.model_validate(one) for one in told), key=lambda one: one.attempt)


def _body(step: object, key: object, payload: object, evidence: object) -> str:
    """The envelope that the step came in, but for what nothing depends on."""
    source, identity = cast("list[str]", orjson.loads(cast(str, key)))
    known = cast("Mapping[str, object]", orjson.loads(cast(str, evidence)))
    told = {name: value for name, value in known.items() if (name, value) != ("principal", ANONYMOUS)}
    head = {"specversion": "1.0", "id": identity, "source": source, "type": step}
    return orjson.dumps({**head, "data": orjson.Fragment(cast(str, payload)), **told}).decode()
