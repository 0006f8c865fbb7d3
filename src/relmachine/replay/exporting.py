"""An export, read from a store: every message is made again from what was decided on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import cast

import orjson

from relmachine.errors import Code, RelmError
from relmachine.kernel.answer import Answer
from relmachine.kernel.control import ANSWER, RECORDS
from relmachine.kernel.envelope import ANONYMOUS
from relmachine.replay.exported import ExportedEvent, ExportedMessage, ExportedRun, ThreadExport
from relmachine.store import reading
from relmachine.store.answers import answer_at
from relmachine.store.declaration import load_plan
from relmachine.store.points import pages
from relmachine.store.port import Reads

THREADS_MAX = 64
"""Threads of one export."""

_EVENTS = """
SELECT te.seq, te.place, te.event_id, te.history_id, e.step, e.step_key, e.payload, te.evidence,
  EXISTS (SELECT 1 FROM controls k WHERE k.thread = te.thread AND k.seq = te.seq)
FROM thread_events te JOIN events e ON e.event_id = te.event_id
WHERE te.thread = ? AND (te.seq, te.place) > (?, ?) ORDER BY te.seq, te.place LIMIT 1000
"""
_RUNS = """
SELECT r.seq, r.step, r.step_key, r.payload, r.evidence, e.outcome
FROM runs r LEFT JOIN run_ends e ON e.thread = r.thread AND e.seq = r.seq
WHERE r.thread = ? AND r.seq > ? ORDER BY r.seq LIMIT 1000
"""
_HELD = """
SELECT seq, step, step_key, payload, evidence FROM held WHERE thread = ? AND seq > ? ORDER BY seq LIMIT 1000
"""
_CONTROLS = """
SELECT seq, record, step_key, payload, evidence FROM controls WHERE thread = ? AND seq > ? ORDER BY seq LIMIT 1000
"""
# What was refused or repeated has no event; where it was, the thread's cursor was.
_PLACES = """
SELECT seq, step FROM (
  SELECT thread, seq, step FROM rejections UNION ALL SELECT thread, to_seq, '_' FROM commits)
WHERE thread = ? AND seq > ? ORDER BY seq LIMIT 1000
"""
_PLAN = "SELECT declaration FROM plans ORDER BY rowid DESC LIMIT 1"
_OTHERS = """
SELECT coalesce(payload ->> '$.source', payload ->> '$.target') FROM controls
WHERE thread = ? AND record IN ('_fork', '_merge', '_close')
"""


async def export(store: Reads, thread: str) -> ThreadExport:
    """The export of `thread`, with the threads it was forked from, merged with or merged into, and theirs.

    Errors: `not_found`; `limit_exceeded` for a family of more than `THREADS_MAX` threads.
    """
    ((declaration,),) = (await store.select(_PLAN)).rows
    plan = load_plan(cast(str, declaration))
    await reading.thread(store, thread)
    family = await _family(store, thread)
    made = [await _Thread(store, name).read() for name in family]
    return ThreadExport(
        machine=plan.machine,
        machine_version=plan.version,
        laws_digest=plan.laws_digest,
        plan_digest=plan.digest,
        thread=thread,
        sections={name: (await reading.section(store, name)).section_digest for name in family},
        messages=tuple(sorted((item for one in made for item in one.messages.values()), key=_sequence)),
        events=tuple(item for one in made for item in one.events),
        runs=tuple(item for one in made for item in one.runs),
    )


async def _family(store: Reads, thread: str) -> list[str]:
    found, left = [thread], [thread]
    while left:
        for (other,) in (await store.select(_OTHERS, (left.pop(),))).rows:
            if other not in found:
                found.append(cast(str, other))
                left.append(cast(str, other))
        if len(found) > THREADS_MAX:
            sentence = f"thread {thread!r} is of one family with more than {THREADS_MAX} others: export one of those"
            raise RelmError(Code.LIMIT_EXCEEDED, sentence, thread=thread, threads_max=THREADS_MAX)
    return found


class _Thread:
    """One thread's part."""

    def __init__(self, store: Reads, thread: str) -> None:
        self._store, self._thread = store, thread
        self.messages: dict[int, ExportedMessage] = {}
        self.events: list[ExportedEvent] = []
        self.runs: list[ExportedRun] = []

    async def read(self) -> _Thread:
        """Read it all; what is known by more than its place comes last, and stays."""
        async for sequence, step in self._rows(_PLACES, (0,)):
            self._add(cast(int, sequence), cast(str, step), "")
        await self._read_events()
        async for row in self._rows(_RUNS, (0,)):
            sequence, step, key, payload, evidence, outcome = cast("tuple[int, str, str, str, str, str | None]", row)
            self._add(sequence, step, _body(step, key, payload, evidence))
            if outcome is not None:
                told = cast("dict[str, object]", orjson.loads(outcome))
                self.runs.append(ExportedRun(thread=self._thread, request=sequence, outcome=told))
        async for row in self._rows(_HELD, (0,)):
            sequence, *texts = cast("tuple[int, str, str, str, str]", row)
            self._add(sequence, texts[0], _body(*texts))
        async for row in self._rows(_CONTROLS, (0,)):
            sequence, record, key, payload, evidence = cast("tuple[int, str, str, str, str]", row)
            if record == ANSWER:
                payload = (await self._answer(sequence)).model_dump_json(exclude_defaults=True)
            assert record in RECORDS, "the store has records of this machine's kind"
            self._add(sequence, record, _body(record, key, payload, evidence))
        return self

    async def _read_events(self) -> None:
        async for row in self._rows(_EVENTS, (0, -1)):
            sequence, place, event, history, step, key, payload, evidence, joined = row
            texts = cast("tuple[str, str, str, str]", (step, key, payload, evidence))
            if not joined:
                self._add(cast(int, sequence), texts[0], _body(*texts))
            self.events.append(
                ExportedEvent(
                    thread=self._thread,
                    sequence=cast(int, sequence),
                    place=cast(int, place),
                    event=cast(str, event),
                    history=cast(str, history),
                )
            )

    async def _answer(self, sequence: int) -> Answer:
        found = await answer_at(self._store, self._thread, sequence)
        assert found is not None, "a record of an answer has its rows"
        return found

    def _add(self, sequence: int, step: str, body: str) -> None:
        self.messages[sequence] = ExportedMessage(sequence=sequence, thread=self._thread, step=step, body=body)

    async def _rows(self, sql: str, after: Sequence[int]) -> AsyncIterator[tuple[object, ...]]:
        async for page in pages(self._store, sql, (self._thread,), tuple(after)):
            for row in page.rows:
                yield row


def _body(step: str, key: str, payload: str, evidence: str) -> str:
    """The envelope that the step came in, but for what nothing depends on."""
    source, identity = cast("list[str]", orjson.loads(key))
    known = cast("dict[str, object]", orjson.loads(evidence))
    if known.get("principal") == ANONYMOUS:
        del known["principal"]
    head = {"specversion": "1.0", "id": identity, "source": source, "type": step}
    return orjson.dumps({**head, "data": orjson.Fragment(payload), **known}).decode()


def _sequence(message: ExportedMessage) -> int:
    return message.sequence
