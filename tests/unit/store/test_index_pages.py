"""Goal: a turn changes a page or two of the index of ids, and not one for each of its steps.
Method: the pages that a turn leaves in the log, with ids as they are, and without what those of one thread share.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from relmachine.algebra import identity
from relmachine.store.sqlite import SqliteStore
from tests.contract.store_turns import Desk

THREADS, STEPS_BEFORE, STEPS = 40, 60, 16


async def _pages_of_a_turn(path: Path) -> int:
    made = Desk.new()
    store = SqliteStore.open(path, made.plan)
    await store.commit([made.notes(f"t{number}", STEPS_BEFORE) for number in range(THREADS)])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    await store.commit([made.notes("t7", STEPS)])
    with closing(sqlite3.connect(path)) as connection:
        _, pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    await store.close()
    return int(pages)


def test_ids_of_a_thread_lie_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    together = asyncio.run(_pages_of_a_turn(tmp_path / "together.db"))
    monkeypatch.setattr(identity, "FAMILY_CHARACTERS", 0)
    apart = asyncio.run(_pages_of_a_turn(tmp_path / "apart.db"))
    assert apart - together > STEPS
