"""Goal: what a record finds of its thread's effects it finds by an index, however many effects there are. Method:
SQLite's own plan of the statement, on the schema as it is."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from relmachine.store.lane_taking import TAKE
from relmachine.store.runs import _ASKED as STANDING
from relmachine.store.sqlite import SqliteStore
from tests.unit.runs.incident import machine


def test_effects_are_found_by_thread_and_key(tmp_path: Path) -> None:
    SqliteStore.open(tmp_path / "store.db", machine().plan())
    found: list[str] = []
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        for statement, parameters in ((TAKE, ("[]", "")), (STANDING, ("[]",))):
            plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
            found += [detail for *_, detail in plan if "control_effects" in detail]
    assert not [detail for detail in found if detail.startswith("SCAN")], found
    assert any("control_effects_by_key (thread=? AND step_key=?)" in detail for detail in found), found
