"""Goal: what leaves for the servers is one query that reads, asking for bounded rows. Method: texts that are one query
and texts that are not; each query as SQLite answers it alone and bounded."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relmachine.errors import Code, RelmError
from relmachine.kernel.limits import Limits
from relmachine.store.rqlite.client import RqliteClient
from relmachine.store.rqlite.level import Level
from relmachine.store.rqlite.selecting import bounded, select
from relmachine.store.statement import reading

QUERIES = {
    "SELECT 1": "SELECT 1",
    "  select 1 ;  ": "select 1",
    "-- a word before\nSELECT 1 -- and after": "SELECT 1",
    '/* ; */ SELECT \';\', "--" FROM (SELECT 1 AS "--") /* end */;': 'SELECT \';\', "--" FROM (SELECT 1 AS "--")',
    "WITH a(b) AS (SELECT 1) SELECT b FROM a ORDER BY b": "WITH a(b) AS (SELECT 1) SELECT b FROM a ORDER BY b",
    "VALUES (1), (2)": "VALUES (1), (2)",
    "SELECT 'it''s (', [a;b] FROM (SELECT 1 AS [a;b])": "SELECT 'it''s (', [a;b] FROM (SELECT 1 AS [a;b])",
    "SELECT 1 UNION ALL SELECT 2 ORDER BY 1 LIMIT 1": "SELECT 1 UNION ALL SELECT 2 ORDER BY 1 LIMIT 1",
    "EXPLAIN QUERY PLAN SELECT 1": "EXPLAIN QUERY PLAN SELECT 1",
}
REFUSED = (
    "",
    ";",
    " \n",
    "-- nothing",
    "/* nothing */",
    "SELECT 1; SELECT 2",
    "SELECT 1;;",
    "SELECT 1; DELETE FROM outbox",
    "SELECT 1 /* no end",
    "SELECT 'no end",
    'SELECT "no end',
    "SELECT `no end",
    "SELECT [no end",
    "SELECT 1) UNION ALL SELECT * FROM (SELECT 2",
    "SELECT (1",
    "SELECT 1)",
    "SELECT \0 1",
    "INSERT INTO meta VALUES ('x', 'y')",
    "DELETE FROM outbox",
    "PRAGMA query_only = OFF",
    "ATTACH DATABASE ':memory:' AS other",
    "BEGIN",
    "VACUUM",
    "SELECTED",
    "(SELECT 1)",
    "--\nPRAGMA user_version",
)


@pytest.mark.parametrize("sql", QUERIES)
def test_one_query_is_taken_out_of_what_stands_around_it(sql: str) -> None:
    assert reading(sql).text == QUERIES[sql]
    connection = sqlite3.connect(":memory:")
    rows = connection.execute(sql).fetchall()
    assert connection.execute(bounded(sql, 100)).fetchall() == rows
    connection.close()


@pytest.mark.parametrize("sql", REFUSED)
def test_anything_else_is_refused(sql: str) -> None:
    with pytest.raises(RelmError) as refused:
        bounded(sql, 100)
    assert refused.value.code is Code.QUERY_REFUSED
    assert refused.value.witness["sql"] == sql


def test_no_more_rows_are_asked_for_than_show_that_there_are_more() -> None:
    connection = sqlite3.connect(":memory:")
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
    assert len(connection.execute(bounded(endless, 7)).fetchall()) == 8
    connection.close()


@given(st.text(alphabet="SELECT 1;'\"`[]()-/*\n\0xé", max_size=30).map(lambda tail: f"SELECT 1{tail}"))
def test_a_text_that_gets_through_is_one_statement_for_sqlite(sql: str) -> None:
    try:
        query = bounded(sql, 3)
    except RelmError:
        return
    connection = sqlite3.connect(":memory:")
    try:
        rows = connection.execute(query).fetchall()
    except sqlite3.Error as error:
        assert "one statement at a time" not in str(error)
    else:
        assert len(rows) <= 4
    finally:
        connection.close()


@pytest.mark.parametrize("parameter", [{"a": 1}, [1], b"bytes", 2**70, "\ud800"])
def test_a_parameter_that_the_servers_would_misread_does_not_leave(parameter: object) -> None:
    nobody = cast(RqliteClient, None)
    with pytest.raises(RelmError) as refused:
        asyncio.run(select(nobody, Limits(), "SELECT ?", (parameter,), Level.WEAK))
    assert refused.value.code is Code.QUERY_REFUSED
