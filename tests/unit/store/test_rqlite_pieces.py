"""Goal: rows travel whole, in order and in bounded texts, and land as they would one by one. Method: random rows
against the bounds; whole requests run on SQLite beside the embedded store's writer."""

from __future__ import annotations

import asyncio
import sqlite3
from itertools import pairwise
from pathlib import Path

import orjson
from hypothesis import given
from hypothesis import strategies as st

from relmachine.store import tables
from relmachine.store.opening import SCHEMA, birth, description, plan_row
from relmachine.store.rqlite.bounds import RqliteBounds
from relmachine.store.rqlite.pieces import dropping, grouped, piece, request
from relmachine.store.rqlite.statements import fragments, inserts, joined
from relmachine.store.sqlite import SqliteStore
from tests.contract.store_turns import Desk

BOUNDS = RqliteBounds(value_bytes_max=500)
TABLES = """
SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT IN ('meta', 'fence_refusals') ORDER BY name
"""


@given(st.lists(st.tuples(st.text(max_size=30), st.integers(-9, 9), st.none())), st.integers(10, 200))
def test_fragments_hold_all_rows_in_order(rows: list[tuple[str, int, None]], bytes_max: int) -> None:
    parts = fragments(rows, bytes_max)
    assert [tuple(row) for part in parts for row in orjson.loads(f"[{part.text}]")] == rows
    assert all(part.bytes == len(part.text.encode()) for part in parts)
    assert all(part.bytes <= bytes_max or len(orjson.loads(f"[{part.text}]")) == 1 for part in parts)
    statements = joined("x", parts, bytes_max)
    assert [tuple(row) for _, text in statements for row in orjson.loads(str(text))] == rows
    for one, other in pairwise(statements):
        assert len(f"{one[1]}{other[1]}".encode()) > bytes_max, "as few as the bound allows, next to one another"


def test_groups_keep_the_order_and_the_bound() -> None:
    made = Desk.new()
    pieces = [piece(made.notes(f"t{index}", 1 + index % 7), None, BOUNDS) for index in range(30)]
    for bytes_max in (1, 5_000, 20_000, 80_000, 10**9):
        groups = list(grouped(pieces, bytes_max))
        assert [one for group in groups for one in group] == pieces
        assert all(len(group) == 1 or sum(one.bytes for one in group) <= bytes_max for group in groups)
    assert len(groups) == 1


def test_a_request_writes_what_the_embedded_store_writes(tmp_path: Path) -> None:
    made = Desk.new()
    steps = made.steps
    turns = [
        [made.opening("a"), made.opening("b")],
        [made.notes("a", 5), made.turn("b", steps.admitted("b", "decide", once="zoé"), steps.unreadable("b"))],
    ]
    sent = turns[0][0].outbox

    async def embedded() -> None:
        store = SqliteStore.open(tmp_path / "embedded.db", made.plan)
        await store.commit(turns[0])
        await store.commit(turns[1], sent)
        await store.close()

    asyncio.run(embedded())
    other = sqlite3.connect(tmp_path / "other.db")
    other.executescript(SCHEMA.read_text(encoding="utf-8"))
    other.execute("PRAGMA foreign_keys = ON")
    described = {tables.PLANS: [plan_row(made.plan)], **description(made.plan)}
    for target, rows in (*described.items(), (tables.META, birth(made.plan))):
        for statement, *parameters in inserts(target, rows, 500):
            other.execute(str(statement), parameters)  # type: ignore[arg-type]
    for number, turn in enumerate(turns):
        pieces = [piece(proposal, None, BOUNDS) for proposal in turn]
        statements, fibers = request(made.plan, pieces, set(), 8, BOUNDS.value_bytes_max)
        assert fibers
        for statement, *parameters in [*(dropping(sent, 500) if number else []), *statements]:
            other.execute(str(statement), parameters)  # type: ignore[arg-type]
    other.commit()
    here = sqlite3.connect(tmp_path / "embedded.db")
    for (table,) in here.execute(TABLES).fetchall():
        rows = here.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
        assert other.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() == rows, table
    here.close()
    other.close()
