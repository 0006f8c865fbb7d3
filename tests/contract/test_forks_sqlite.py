"""Goal: the SQLite store keeps the contract of forks. Method: the contract class on a file per test."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from relmachine.kernel.limits import Limits
from relmachine.machine.plan import Plan
from relmachine.store.sqlite import SqliteStore
from tests.contract.fork_contract import ForkContract, ForkStore
from tests.contract.resolution_contract import ResolutionContract


class File(ForkStore):
    """A store in one file."""

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.path = tmp_path / "store.db"

    async def open(self, plan: Plan, limits: Limits | None = None) -> SqliteStore:
        return SqliteStore.open(self.path, plan, limits)

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


class TestForksOnSqlite(File, ForkContract): ...


class TestResolutionsOnSqlite(File, ResolutionContract): ...
