"""Goal: plain SQL on the file gets no further than the page says. Method: the class of tests, by a bare connection that
enforces no foreign keys and has recursive triggers off, as a shell has."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from relmachine.kernel.limits import Limits
from relmachine.machine.plan import Plan
from relmachine.store.sqlite import SqliteStore
from tests.contract.sql_mutations import Cell
from tests.contract.store_by_sql import StoreBySql
from tests.contract.store_views import StoreViews


class TestSqliteBySql(StoreBySql):
    """By the standard library's driver."""

    @pytest.fixture
    def _place(self, tmp_path: Path) -> None:
        self.path = tmp_path / "store.db"

    async def open(self, plan: Plan, limits: Limits) -> SqliteStore:
        return SqliteStore.open(self.path, plan, limits)

    @pytest.fixture(autouse=True)
    def _connected(self, _filled: None) -> object:
        self.connection = sqlite3.connect(self.path, isolation_level=None)
        for setting in ("foreign_keys", "recursive_triggers"):
            assert self.connection.execute(f"PRAGMA {setting}").fetchone() == (0,)
        yield
        self.connection.close()

    def asked(self, sql: str) -> list[tuple[Cell, ...]]:
        return self.connection.execute(sql).fetchall()

    def attempt(self, *statements: str) -> int | str:
        self.connection.execute("BEGIN")
        try:
            changed = 0
            for statement in statements:
                changed = self.connection.execute(statement).rowcount
        except sqlite3.Error as error:
            return str(error)
        finally:
            self.connection.execute("ROLLBACK")
        return changed

    def alter(self, statement: str) -> None:
        self.connection.execute(statement)

    def test_what_pragmas_and_a_rewritten_schema_can_do_is_told(self) -> None:
        """`writable_schema` lets a shell take a trigger's text out of the schema, past every trigger."""
        assert self.attempt("PRAGMA recursive_triggers = ON", "DELETE FROM events") == "write_once: events"
        assert self.attempt("PRAGMA ignore_check_constraints = ON", "UPDATE events SET tier = 9") == (
            "write_once: events"
        )
        with pytest.raises(sqlite3.OperationalError, match="may not be modified"):
            self.connection.execute("DELETE FROM sqlite_schema WHERE name = 'events_update'")
        self.connection.execute("PRAGMA writable_schema = ON")
        self.connection.execute("DELETE FROM sqlite_schema WHERE name = 'events_update'")
        self.connection.close()
        self.connection = sqlite3.connect(self.path, isolation_level=None)
        assert self.attempt("UPDATE events SET verdicts = ''") != "write_once: events"
        assert self.told() == "schema: trigger events_update"


class TestSqliteViews(StoreViews):
    """On a file."""

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.path = tmp_path / "store.db"

    async def open(self, plan: Plan, limits: Limits) -> SqliteStore:
        return SqliteStore.open(self.path, plan, limits)
