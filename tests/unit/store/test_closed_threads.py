"""Goal: whether a thread was closed is found by an index, however many records it has. Method: SQLite's own plan of
each statement that asks, those inside triggers too, on the schema as it is."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from relmachine.store.held import _OPEN
from relmachine.store.lane_taking import TAKE
from relmachine.store.sqlite import SqliteStore
from tests.unit.runs.incident import machine

ASKED_BY = {"a record that is taken": (TAKE, ("[]", "")), "steps that wait": (_OPEN, (1,))}
TRIGGERS = ("commits_closed", "thread_events_closed")


@pytest.mark.parametrize("asks", [*ASKED_BY, *TRIGGERS])
def test_a_closed_thread_is_found_by_index(tmp_path: Path, asks: str) -> None:
    SqliteStore.open(tmp_path / "store.db", machine().plan())
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        statement, parameters = ASKED_BY.get(asks) or (_body(connection, asks), ("t",))
        plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
    found = [detail for *_, detail in plan if "controls_closed (thread=?" in detail]
    assert found, plan


def _body(connection: sqlite3.Connection, trigger: str) -> str:
    """The one statement of a trigger, with its thread as a parameter and a value in place of its refusal."""
    ((text,),) = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (trigger,))
    _, _, body = text.partition("BEGIN")
    return body.partition(";")[0].replace("RAISE(ABORT, 'closed')", "1").replace("NEW.thread", "?")
