"""Goal: a file keeps the administrator's contract, beside nodes that write to it. Method: the contract class on a file
per test; another connection that holds the file's write lock."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from relmachine.errors import Code, RelmError
from relmachine.kernel.limits import Limits
from relmachine.machine.plan import Plan
from relmachine.store import sqlite_opening
from relmachine.store.admin import run
from relmachine.store.sqlite import SqliteStore
from relmachine.store.sqlite_admin import SqliteAdmin
from tests.contract.admin_contract import ENDLESS, AdminContract


class TestSqliteAdmin(AdminContract):
    """The contract, and what only a file can do."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> None:
        self.path = tmp_path / "store.db"

    async def open(self, plan: Plan, limits: Limits | None = None) -> SqliteStore:
        return SqliteStore.open(self.path, plan, limits)

    def admin(self, limits: Limits | None = None) -> SqliteAdmin:
        return SqliteAdmin(self.path, limits or Limits())

    def test_a_write_that_takes_too_long_changes_nothing(self) -> None:
        endless = f"INSERT INTO peers SELECT *, '{{}}' FROM ({ENDLESS.format('i')})"
        with closing(self.admin(Limits(query_seconds_max=0.2))) as admin:
            began = time.monotonic()
            with pytest.raises(RelmError) as refused:
                run(admin, endless, writes=True)
            assert refused.value.code is Code.LIMIT_EXCEEDED
            assert time.monotonic() - began < 5
            assert admin.read("SELECT count(*) FROM peers").rows == ((0,),)

    def test_a_node_that_writes_for_long_is_waited_for_and_then_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sqlite_opening, "BUSY_SECONDS_MAX", 0.1)
        writer = sqlite3.connect(self.path, isolation_level=None)
        with closing(writer), closing(self.admin()) as admin:
            writer.execute("BEGIN IMMEDIATE")
            with pytest.raises(RelmError) as refused:
                run(admin, "DELETE FROM outbox", writes=True)
            assert refused.value.code is Code.UNREACHABLE
            writer.execute("ROLLBACK")
            assert run(admin, "DELETE FROM outbox", writes=True) > 0

    def test_reading_opens_nothing_that_can_write(self) -> None:
        with closing(self.admin()) as admin:
            run(admin, "SELECT 1", writes=True)
            assert admin._writer is None  # pyright: ignore[reportPrivateUsage]
