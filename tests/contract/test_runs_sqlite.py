"""Goal: the SQLite store keeps the contract of runs. Method: the contract classes on a file per test."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from relmachine.machine.plan import Plan
from relmachine.store.sqlite import SqliteStore
from tests.contract.run_contract import RunContract, RunStore
from tests.contract.run_rows_contract import RunRowsContract


class File(RunStore):
    """A store in one file."""

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.path = tmp_path / "store.db"

    async def open(self, plan: Plan) -> SqliteStore:
        return SqliteStore.open(self.path, plan)

    def raw(self, statement: str) -> str:
        connection = sqlite3.connect(self.path)
        try:
            with connection:
                connection.execute(statement)
        except sqlite3.Error as error:
            return str(error)
        finally:
            connection.close()
        return ""


class TestRunsOnSqlite(File, RunContract): ...


class TestRowsOfRunsOnSqlite(File, RunRowsContract): ...
