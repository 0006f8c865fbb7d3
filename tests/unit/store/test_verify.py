"""Goal: verification names the first bad event whatever was changed. Method: change one thing in a good store."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from pathlib import Path

import pytest

from relmachine.kernel.limits import Limits
from relmachine.store.sqlite import SqliteReading, SqliteStore
from relmachine.store.verify import Report, verify
from relmachine.store.write_order import WriteOrder
from tests.unit.store.stored import ask, filled, tamper

SECOND = "(SELECT event_id FROM thread_events WHERE thread = 'b%20c' ORDER BY seq LIMIT 1 OFFSET 1)"
NUMBER = f"(SELECT number FROM events WHERE event_id = {SECOND})"
HISTORY = "(SELECT history_id FROM thread_events WHERE thread = 'b%20c' ORDER BY seq LIMIT 1 OFFSET 1)"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("store") / "store.db"
    filled(place, Limits(section_snapshot_every=3))
    return place


@pytest.fixture
def path(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(good, tmp_path))


def report(path: Path) -> Report:
    found = ask(path, verify)
    assert isinstance(found, Report)
    return found


def test_an_untouched_store_is_right_and_counted(path: Path) -> None:
    seen: list[tuple[int, int]] = []

    async def question(store: SqliteReading) -> Report:
        return await verify(store, lambda done, total: seen.append((done, total)))

    found = ask(path, question)
    assert isinstance(found, Report)
    assert found.ok, found.fault
    assert found.counts["events"] == 11
    assert found.counts["rejections"] == 4
    assert found.counts["commits"] == 5
    assert found.counts["threads"] == 2
    assert found.counts["section_snapshots"] >= 2
    assert seen == [(5, 11), (11, 11)]


def test_what_is_committed_in_the_meantime_does_not_show(tmp_path: Path) -> None:
    made = filled(tmp_path / "store.db")

    async def test() -> None:
        store, other = (SqliteStore.open(tmp_path / "store.db", made.plan) for _ in range(2))
        turns = [made.notes(thread, 2) for thread in ("b%20c", "a", "0", "z")]

        def commit(_done: int, _total: int) -> None:
            writer = other._writer  # pyright: ignore[reportPrivateUsage]
            writer.commit([turns.pop()], (), WriteOrder())

        found = await verify(store, commit)
        assert found.ok, found.fault
        assert (found.counts["threads"], found.counts["events"]) == (2, 11)
        assert len(turns) == 2, "two turns came in between"
        later = await verify(store)
        assert later.ok, later.fault
        assert later.counts["events"] == 15
        await store.close()
        await other.close()

    asyncio.run(test())


def test_one_changed_byte_of_any_payload_is_found(path: Path) -> None:
    connection = sqlite3.connect(path)
    places = connection.execute(
        "SELECT te.thread, te.seq, e.event_id, CAST(e.payload AS BLOB) FROM thread_events te JOIN events e"
        " USING (event_id)"
    ).fetchall()
    connection.close()
    tamper(path)
    assert report(path).ok
    for index, (thread, seq, event, payload) in enumerate(places):
        at = (index * 7) % len(payload)
        for byte in (payload[at] ^ 1, 0xFF, 0):
            changed = payload[:at] + bytes([byte]) + payload[at + 1 :]
            _write(path, event, changed)
            fault = report(path).fault
            assert fault is not None, (event, changed)
            assert (fault.thread, fault.sequence, fault.event_id) == (thread, seq, event)
        _write(path, event, payload)
    assert report(path).ok


def _write(path: Path, event: str, payload: bytes) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE events SET payload = CAST(? AS TEXT) WHERE event_id = ?", (payload, event))
    connection.close()


@pytest.mark.parametrize(
    ("statement", "differs"),
    [
        (f"UPDATE events SET payload_digest = 'x' WHERE event_id = {SECOND}", "events.payload_digest"),
        (f"UPDATE events SET step_key = '[]' WHERE event_id = {SECOND}", "events.event_id"),
        (f"UPDATE events SET step = 'receive' WHERE event_id = {SECOND}", "events."),
        (f"UPDATE events SET step = 'nothing' WHERE event_id = {SECOND}", "cannot be computed"),
        (f"UPDATE events SET tier = 7 WHERE event_id = {SECOND}", "events.tier"),
        (f"UPDATE events SET parents = '[]' WHERE event_id = {SECOND}", "events.parents"),
        (f"UPDATE events SET genesis = 'x' WHERE event_id = {SECOND}", "events.genesis"),
        (f"UPDATE events SET lifecycle = 'x' WHERE event_id = {SECOND}", "events.lifecycle"),
        (f"UPDATE events SET verdicts = '{{}}' WHERE event_id = {SECOND}", "events.verdicts"),
        (f"UPDATE events SET plan_digest = 'x' WHERE event_id = {SECOND}", "cannot be computed"),
        (f"UPDATE event_contributions SET value = '\"eve\"' WHERE event = {NUMBER}", "events.contributions_digest"),
        (f"DELETE FROM event_contributions WHERE event = {NUMBER}", "events.contributions_digest"),
        (f"UPDATE event_claims SET claim = 'decided' WHERE event = {NUMBER}", "claims.claim"),
        (f"UPDATE histories SET section_digest = 'x' WHERE history_id = {HISTORY}", "histories.section_digest"),
        (f"UPDATE histories SET normal_form_ref = 'x' WHERE history_id = {HISTORY}", "histories.normal_form_ref"),
        (f"UPDATE histories SET depth = 9 WHERE history_id = {HISTORY}", "histories.depth"),
        (
            f"UPDATE histories SET fiber_id = (SELECT min(fiber_id) FROM fibers WHERE fiber_id <> histories.fiber_id)"
            f" WHERE history_id = {HISTORY}",
            "histories.fiber_id",
        ),
        (
            "UPDATE thread_events SET evidence = '{\"principal\":\"officer\"} ' WHERE thread = 'b%20c' AND seq = 6",
            "thread_events.evidence",
        ),
        (
            f"UPDATE history_extensions SET source = 'x' WHERE target = (SELECT number FROM histories WHERE"
            f" history_id = {HISTORY})",
            "extensions.source",
        ),
        ("UPDATE receipts SET outcome = '{}' WHERE thread = 'b%20c' AND seq = 6", "receipts.outcome"),
        ("DELETE FROM receipts WHERE thread = 'b%20c' AND seq = 6", "receipts: number of rows"),
        ("UPDATE transitions SET kind = 'superseded' WHERE thread = 'b%20c' AND seq = 6", "transitions.kind"),
    ],
)
def test_a_changed_row_of_an_event_is_named(path: Path, statement: str, differs: str) -> None:
    connection = sqlite3.connect(path)
    event = connection.execute(f"SELECT {SECOND}").fetchone()[0]
    connection.close()
    tamper(path, statement)
    fault = report(path).fault
    assert fault is not None
    assert differs in fault.differs
    assert (fault.thread, fault.sequence, fault.event_id) == ("b%20c", 6, event)


@pytest.mark.parametrize(
    ("statement", "thread", "sequence", "differs"),
    [
        ("UPDATE rejections SET code = 'once' WHERE seq = 2", "a", 2, "rejections.code"),
        ("UPDATE rejections SET witness = json_set(witness, '$.first_sequence', 9) WHERE seq = 13", "b%20c", 13,
         "rejections.witness"),
        ("UPDATE rejections SET step_key = '[\"test\",\"4\"]' WHERE seq = 13", "b%20c", 13, "rejections.witness"),
        ("UPDATE rejections SET gate = 'laws' WHERE seq = 13", "b%20c", 13, "rejections.gate"),
        ("UPDATE receipts SET payload_digest = 'x' WHERE seq = 2", "a", 2, "receipts.payload_digest"),
        ("DELETE FROM receipts WHERE seq = 2", "a", 2, "receipts: number of rows"),
        ("UPDATE outbox SET body = json_remove(body, '$.outcomes[0]') WHERE kind = 'journal' AND thread = 'a'", "a", 3,
         "outbox.body"),
        ("INSERT INTO outbox SELECT thread, 4, kind, body FROM outbox WHERE thread = 'a' AND seq = 3", "a", 4,
         "outbox: a message of no commit"),
        ("INSERT INTO commits SELECT '0', from_head, from_seq, epoch, to_head, to_seq FROM commits WHERE thread = 'a'",
         "0", 3, "no row"),
        ("DELETE FROM threads WHERE thread = 'a'", "a", 1, "no row for the thread"),
        ("UPDATE rejections SET lifecycle = 'x' WHERE seq = 2", "a", 2, "rejections.lifecycle"),
        ("UPDATE commits SET to_head = 'x' WHERE thread = 'a' AND from_seq = 3", "a", 9, "chain of heads"),
        ("UPDATE commits SET from_seq = 4 WHERE thread = 'a' AND from_seq = 3", "a", 9, "chain of heads"),
        ("DELETE FROM commits WHERE thread = 'a' AND from_seq = 3", "a", 7, "no commit covers"),
        ("UPDATE threads SET head = 'x' WHERE thread = 'a'", "a", 9, "threads.head"),
        ("UPDATE threads SET seq = 99 WHERE thread = 'a'", "a", 9, "threads.seq"),
        ("UPDATE threads SET state = json_set(state, '$.vetoed', 'f') WHERE thread = 'a'", "a", 9, "threads.state"),
        ("DELETE FROM thread_events WHERE thread = 'b%20c' AND seq = 6", "b%20c", 6, "chain of heads"),
        ("UPDATE section_snapshots SET section_data = '{}' WHERE thread = 'a'", "a", 9, "section_data"),
        ("UPDATE fiber_points SET transfer = 1 - transfer WHERE position = 0", "", 0, "fiber "),
        ("UPDATE fiber_meet SET result = 1 - result WHERE a = 0 AND b = 0", "", 0, "fiber_meet"),
        ("DELETE FROM nuclei WHERE elem = 0", "", 0, "nuclei"),
        ("INSERT INTO receipts SELECT thread, 'new', step, payload_digest, 70, outcome FROM receipts LIMIT 1", "a", 70,
         "receipts: its step"),
        ("INSERT INTO transitions SELECT 'z', seq, claim, kind, 'x', 'y' FROM transitions LIMIT 1", "", 0,
         "transitions"),
        ("INSERT INTO event_claims SELECT 99, claim, touch FROM event_claims LIMIT 1", "", 0, "event_claims"),
        ("INSERT INTO histories SELECT 'x', depth, tier, normal_form_ref, fiber_id, section_digest, thread, seq, 0,"
         " NULL FROM histories LIMIT 1", "", 0, "histories"),
        ("UPDATE accord_fields SET reducer = 'min' WHERE field = 'union'", "", 0, "accord_fields"),
        ("DELETE FROM commutation WHERE step_a = (SELECT min(step_a) FROM commutation)", "", 0, "commutation"),
    ],
)  # fmt: skip
def test_what_hangs_on_no_single_event_is_named(
    path: Path, statement: str, thread: str, sequence: int, differs: str
) -> None:
    tamper(path, statement)
    fault = report(path).fault
    assert fault is not None
    assert differs in fault.differs
    assert (fault.thread, fault.sequence) == (thread, sequence)


def test_a_fiber_without_tables_answers_for_its_points(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    filled(path, Limits(fiber_table_elements_max=0))
    tamper(path, "UPDATE fiber_points SET transfer = 1 - transfer WHERE point = 'received'")
    fault = report(path).fault
    assert fault is not None
    assert "have the digest" in fault.differs
