"""Where the store of a contract's test is: nowhere yet, in one file, or on one real server that is cleared before."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable
from contextlib import closing
from pathlib import Path

import pytest

from relmachine.kernel.limits import Limits
from relmachine.machine.plan import Plan
from relmachine.store.port import Store
from relmachine.store.rqlite.store import RqliteStore
from relmachine.store.sqlite import SqliteStore
from tests.contract.rqlite_servers import RqliteServers


class StorePlace:
    """How a store is opened, and how somebody writes to it who goes round the code."""

    def open(self, plan: Plan, limits: Limits | None = None) -> Awaitable[Store]:
        """Open the one store of the test, again each time it is called."""
        raise NotImplementedError

    def raw(self, statement: str) -> str:
        """Run `statement` beside the code; returns the error's text, empty when it went through."""
        raise NotImplementedError


class InFile(StorePlace):
    """A store in one file."""

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.path = tmp_path / "data" / "store.db"

    async def open(self, plan: Plan, limits: Limits | None = None) -> SqliteStore:
        return SqliteStore.open(self.path, plan, limits)

    def raw(self, statement: str) -> str:
        with closing(sqlite3.connect(self.path)) as connection:
            try:
                with connection:
                    connection.execute(statement)
            except sqlite3.Error as error:
                return str(error)
        return ""


class OnServer(StorePlace):
    """A store on one server, which is cleared before each test."""

    @pytest.fixture(autouse=True)
    def _place(self, one_rqlite: RqliteServers) -> None:
        one_rqlite.clear()
        self.servers = one_rqlite

    async def open(self, plan: Plan, limits: Limits | None = None) -> RqliteStore:
        return await RqliteStore.open(self.servers.urls, plan, limits)

    def raw(self, statement: str) -> str:
        return self.servers.servers[0].execute(statement)
