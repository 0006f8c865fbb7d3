"""Goal: many rows go in as given, in order, in few statements. Method: an in-memory table, statements counted."""

from __future__ import annotations

import sqlite3

import pytest

from relmachine.store.tables import Target, insert


@pytest.mark.parametrize("count", [0, 1, 2, 3, 511, 512, 513, 1700])
def test_rows_arrive_in_order(count: int) -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("CREATE TABLE rows (a INTEGER, b TEXT, number INTEGER PRIMARY KEY)")
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    rows = [(index, f"text {index}") for index in range(count)]
    insert(connection, Target("rows", ("a", "b")), rows)
    connection.set_trace_callback(None)
    assert connection.execute("SELECT a, b FROM rows ORDER BY number").fetchall() == rows
    assert len(statements) <= count // 512 + 10
    connection.close()
