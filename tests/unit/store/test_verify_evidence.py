"""Goal: no decided step lacks a part of its evidence unnoticed. Method: filled stores of every kind of row, each part
taken out or exchanged by somebody who dropped the triggers, and the check asked by itself."""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from relmachine.store.sqlite import SqliteReading
from relmachine.store.verify.evidence import check_evidence
from relmachine.store.verify.fault import Fault
from relmachine.store.verify.whole import verify
from tests.unit.forks.joined_store import joined
from tests.unit.store.stored import ask, eventful, tamper

SECOND = "(SELECT event_id FROM thread_events WHERE thread = 'a' ORDER BY seq LIMIT 1 OFFSET 1)"
SECOND_AT = "thread = 'a' AND seq = (SELECT seq FROM thread_events WHERE thread = 'a' ORDER BY seq LIMIT 1 OFFSET 1)"
REFUSED = "(thread, seq) IN (SELECT thread, seq FROM rejections WHERE step_key <> '' ORDER BY thread, seq LIMIT 1)"
RECORD = "thread = 'c' AND seq = (SELECT min(seq) FROM controls WHERE thread = 'c')"

DOCTORED = [
    (f"DELETE FROM events WHERE event_id = {SECOND}", "thread_events: of an event that is not there"),
    (f"DELETE FROM thread_events WHERE {SECOND_AT}", "receipts: its step has no row in thread_events"),
    (f"DELETE FROM receipts WHERE {SECOND_AT}", "receipts: none of the step's key"),
    (f"UPDATE receipts SET seq = seq + 1 WHERE {SECOND_AT}", "receipts: none of the step's key"),
    (f"UPDATE receipts SET outcome = '{{}}' WHERE {SECOND_AT}", "evidence: cannot be read"),
    (
        f"INSERT INTO rejections SELECT 'a', seq, '', '', 'laws', 'once', 'x', '{{}}', '' FROM thread_events"
        f" WHERE {SECOND_AT}",
        "evidence: outcomes of one step",
    ),
    (
        f"INSERT INTO thread_events SELECT thread, seq, event_id, history_id, evidence, 1 FROM thread_events"
        f" WHERE {SECOND_AT}",
        "evidence: outcomes of one step",
    ),
    ("UPDATE events SET lifecycle = 'OPEN>ACTIVE>COMMIT' WHERE event_id = " + SECOND, "events.lifecycle"),
    ("UPDATE events SET lifecycle = 'OPEN>ACTIVE>COMMIT>ABORT>CLOSE' WHERE event_id = " + SECOND, "events.lifecycle"),
    (
        f"UPDATE events SET verdicts = json_remove(verdicts, '$.laws') WHERE event_id = {SECOND}",
        "events.verdicts: not those of all three gates",
    ),
    (f"UPDATE events SET plan_digest = 'missing' WHERE event_id = {SECOND}", "events.plan_digest: no such plan"),
    (f"UPDATE thread_events SET evidence = '{{}}' WHERE {SECOND_AT}", "thread_events.evidence: no principal"),
    (f"UPDATE thread_events SET evidence = 'no json' WHERE {SECOND_AT}", "evidence: cannot be read"),
    (f"UPDATE rejections SET lifecycle = 'OPEN' WHERE {REFUSED}", "rejections.lifecycle"),
    (f"UPDATE rejections SET lifecycle = 'OPEN>ACTIVE>COMMIT>CLOSE' WHERE {REFUSED}", "rejections.lifecycle"),
    (f"UPDATE rejections SET gate = 'nobody' WHERE {REFUSED}", "evidence: cannot be read"),
    (f"UPDATE rejections SET code = 'why not' WHERE {REFUSED}", "evidence: cannot be read"),
    (f"UPDATE rejections SET sentence = '' WHERE {REFUSED}", "rejections.sentence: empty"),
    ("DELETE FROM receipts WHERE outcome ->> '$.outcome' = 'refused'", "receipts: none of the step's key"),
    ("DELETE FROM rejections WHERE step_key <> ''", "receipts: its step has no row in rejections"),
]

OF_RECORDS = [
    (f"UPDATE controls SET evidence = '{{}}' WHERE {RECORD}", "controls.evidence: no principal"),
    ("UPDATE receipts SET seq = seq + 1 WHERE outcome ->> '$.outcome' = 'applied'", "none of the record's key"),
    (
        "INSERT INTO rejections SELECT thread, seq, '', '', 'laws', 'once', 'x', '{}', '' FROM controls"
        " WHERE record = '_resolve'",
        "evidence: outcomes of one record",
    ),
    ("DELETE FROM controls WHERE record = '_resolve'", "receipts: its step has no row in controls"),
    (f"DELETE FROM controls WHERE {RECORD}", "evidence: outcomes of one step"),
]


async def _evidence(store: SqliteReading) -> tuple[Fault | None, int]:
    counts: Counter[str] = Counter()
    return await check_evidence(store, counts), counts["evidence"]


def found(path: Path) -> tuple[Fault | None, int]:
    """The first fault in the store's evidence, and how many decided steps were looked at."""
    answer = ask(path, _evidence)
    assert isinstance(answer, tuple)
    return answer  # type: ignore[return-value]


def test_whole_stores_are_complete_and_every_step_is_counted(tmp_path: Path) -> None:
    eventful(tmp_path / "events.db")
    connection = sqlite3.connect(tmp_path / "events.db")
    decided = connection.execute("SELECT (SELECT count(*) FROM thread_events) + (SELECT count(*) FROM rejections)")
    assert found(tmp_path / "events.db") == (None, decided.fetchone()[0])
    connection.close()
    joined(tmp_path / "joined.db")
    fault, steps = found(tmp_path / "joined.db")
    assert fault is None
    assert steps > 5


@pytest.mark.parametrize(("statement", "differs"), DOCTORED)
def test_what_is_missing_from_a_step_is_named(tmp_path: Path, statement: str, differs: str) -> None:
    path = tmp_path / "store.db"
    eventful(path)
    tamper(path, statement)
    fault, _ = found(path)
    assert fault is not None
    assert differs in fault.differs
    assert fault.thread
    assert fault.sequence > 0

    async def whole(store: SqliteReading) -> bool:
        return (await verify(store)).ok

    assert ask(path, whole) is False


@pytest.mark.parametrize(("statement", "differs"), OF_RECORDS)
def test_what_is_missing_from_a_record_is_named(tmp_path: Path, statement: str, differs: str) -> None:
    path = tmp_path / "store.db"
    joined(path)
    tamper(path, statement)
    fault, _ = found(path)
    assert fault is not None
    assert differs in fault.differs
