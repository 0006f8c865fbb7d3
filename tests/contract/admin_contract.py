"""Goal: every adapter of `Admin` works on a store alike and harms none. Method: one class of tests, inherited per
adapter, on a store with two turns in it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import closing

import pytest

from relmachine.errors import Code, RelmError
from relmachine.kernel.limits import Limits
from relmachine.machine.plan import Plan
from relmachine.store.admin import Admin, run
from relmachine.store.port import Store, Table
from relmachine.store.verify import verify
from tests.contract.store_turns import Desk

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT {} FROM n"
ANSWERS: dict[str, tuple[tuple[str, ...], list[tuple[object, ...]]]] = {
    "SELECT 1 AS one, 'a' AS a, NULL AS none, 1.5 AS half": (("one", "a", "none", "half"), [(1, "a", None, 1.5)]),
    "SELECT ':word', '?', '{\"a\":b}' AS json": (("':word'", "'?'", "json"), [(":word", "?", '{"a":b}')]),
    "WITH a(b) AS (VALUES (1), (2)) SELECT b FROM a ORDER BY b;": (("b",), [(1,), (2,)]),
    "VALUES ('x'), ('y') -- two": (("column1",), [("x",), ("y",)]),
    "SELECT thread, seq FROM threads ORDER BY thread": (("thread", "seq"), [("a", 3), ("b", 6)]),
    "SELECT thread FROM threads WHERE thread = 'nobody'": (("thread",), []),
}
NO_STATEMENTS_OF_ROWS = (
    "DROP TRIGGER commits_fence",
    "CREATE TABLE mine (x)",
    "ALTER TABLE peers ADD COLUMN mine",
    "PRAGMA foreign_keys = OFF",
    "ATTACH DATABASE ':memory:' AS other",
    "BEGIN",
    "COMMIT",
    "VACUUM",
    "DELETE FROM outbox; DROP TRIGGER commits_fence",
    "",
    "-- nothing",
    "DELETE FROM outbox WHERE body = 'no end",
)
AGAINST_TRIGGERS = {
    "UPDATE events SET step = 'x'": "write_once: events",
    "DELETE FROM commits": "write_once: commits",
    "UPDATE threads SET head = 'x'": "a thread moves by a commit",
    "INSERT INTO commits VALUES ('a', 'x', 3, 0, 'y', 9)": "stale",
    "UPDATE meta SET value = 'x'": "write_once: meta",
}


class AdminContract:
    """Adapters say how a store is opened by a node, and how by an administrator."""

    def open(self, plan: Plan, limits: Limits | None = None) -> Awaitable[Store]:
        """Open the one store of the test."""
        raise NotImplementedError

    def admin(self, limits: Limits | None = None) -> Admin:
        """The same store for an administrator."""
        raise NotImplementedError

    @pytest.fixture
    def place(self) -> None:
        """An empty place for the store."""
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def _filled(self, place: None) -> None:
        async def fill() -> None:
            made = Desk.new()
            store = await self.open(made.plan)
            await store.commit([made.opening("a"), made.opening("b")])
            await store.close()

        asyncio.run(fill())

    def sound(self) -> bool:
        """Whether the store says what its events give."""

        async def ask() -> bool:
            store = await self.open(Desk.new().plan)
            try:
                return (await verify(store)).ok
            finally:
                await store.close()

        return asyncio.run(ask())

    @pytest.mark.parametrize("sql", ANSWERS)
    def test_queries_are_answered_as_they_are_typed(self, sql: str) -> None:
        columns, rows = ANSWERS[sql]
        with closing(self.admin()) as admin:
            found = run(admin, sql, writes=False)
        assert isinstance(found, Table)
        assert (found.columns, list(found.rows)) == (columns, rows)

    def test_a_query_can_be_explained(self) -> None:
        with closing(self.admin()) as admin:
            found = run(admin, "EXPLAIN QUERY PLAN SELECT * FROM threads WHERE thread = 'a'", writes=False)
        assert isinstance(found, Table)
        assert "threads" in str(found.rows)

    @pytest.mark.parametrize(
        ("sql", "bound"),
        [(ENDLESS.format("i"), "query_rows_max"), (ENDLESS.format("sum(i)"), "query_seconds_max")],
    )
    def test_answers_are_bounded(self, sql: str, bound: str) -> None:
        with closing(self.admin(Limits(query_rows_max=50, query_seconds_max=0.2))) as admin:
            with pytest.raises(RelmError) as refused:
                run(admin, sql, writes=False)
            assert refused.value.code is Code.LIMIT_EXCEEDED
            assert bound in refused.value.witness
            assert run(admin, "SELECT 1 AS one", writes=False) == Table(("one",), ((1,),))

    @pytest.mark.parametrize("writes", [False, True])
    @pytest.mark.parametrize("sql", NO_STATEMENTS_OF_ROWS)
    def test_nothing_but_rows_is_ever_changed(self, sql: str, writes: bool) -> None:
        schema = "SELECT group_concat(sql) FROM sqlite_schema"
        with closing(self.admin()) as admin:
            before = run(admin, schema, writes=False)
            with pytest.raises(RelmError) as refused:
                run(admin, sql, writes=writes)
            assert refused.value.code is Code.QUERY_REFUSED
            assert run(admin, schema, writes=False) == before

    def test_rows_are_changed_only_where_that_was_asked_for(self) -> None:
        count = "SELECT count(*) FROM peers"
        changes = {
            "INSERT INTO peers VALUES ('one', ':card?'), ('two', '{}')": 2,
            "UPDATE peers SET card = 'x' WHERE peer = 'one'": 1,
            "WITH gone(peer) AS (SELECT 'two') DELETE FROM peers WHERE peer IN gone": 1,
            "DELETE FROM peers RETURNING peer": 1,
            "DELETE FROM peers": 0,
        }
        with closing(self.admin()) as admin:
            for sql, changed in changes.items():
                before = run(admin, count, writes=False)
                with pytest.raises(RelmError) as refused:
                    run(admin, sql, writes=False)
                assert "relm sql --write" in refused.value.sentence
                assert run(admin, count, writes=False) == before
                assert (sql, run(admin, sql, writes=True)) == (sql, changed)
        assert self.sound()

    @pytest.mark.parametrize("sql", AGAINST_TRIGGERS)
    def test_triggers_hold_for_administrators_too(self, sql: str) -> None:
        with closing(self.admin()) as admin, pytest.raises(RelmError) as refused:
            run(admin, sql, writes=True)
        assert refused.value.code is Code.QUERY_REFUSED
        assert AGAINST_TRIGGERS[sql] in str(refused.value.witness["detail"])
        assert self.sound()
