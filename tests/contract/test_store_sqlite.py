"""Goal: the SQLite store keeps the store contract and survives kill -9. Method: the contract classes on a file per
test, raw connections beside the code, and a child process that is killed while it commits."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from relmachine.errors import Code, RelmError
from relmachine.store import writing
from relmachine.store.port import Committed, Stale
from relmachine.store.selecting import connect_reader
from relmachine.store.sqlite import SqliteStore, open_reading
from relmachine.store.sqlite_opening import check_sqlite
from relmachine.store.verify import verify
from tests.contract.store_commits_contract import CommitsContract
from tests.contract.store_contract import StoreContract
from tests.contract.store_deciding_contract import DecidingContract
from tests.contract.store_fencing_contract import FencingContract
from tests.contract.store_forestalled_contract import ForestalledContract
from tests.contract.store_lane_contract import LaneContract
from tests.contract.store_opening_contract import OpeningContract
from tests.contract.store_outbox_contract import OutboxContract
from tests.contract.store_place import InFile
from tests.contract.store_selecting_contract import SelectingContract
from tests.contract.store_turns import Desk, desk
from tests.contract.store_write_once_contract import WriteOnceContract

ROOT = Path(__file__).parents[2]
DEADLINE_SECONDS = 30.0


class TestCommits(InFile, CommitsContract): ...


class TestFencing(InFile, FencingContract): ...


class TestLane(InFile, LaneContract): ...


class TestDeciding(InFile, DecidingContract): ...


class TestOutbox(InFile, OutboxContract): ...


class TestSelecting(InFile, SelectingContract): ...


class TestWriteOnce(InFile, WriteOnceContract): ...


class TestForestalled(InFile, ForestalledContract): ...


class TestOpening(InFile, OpeningContract): ...


class TestFile(InFile, StoreContract):
    """What only a file can do."""

    def test_a_file_can_be_read_while_a_node_writes_and_when_none_runs(self) -> None:
        async def test() -> None:
            made = Desk.new()
            store = SqliteStore.open(self.path, made.plan)
            reading = open_reading(self.path)
            assert reading.store_id == store.store_id
            await store.commit([made.opening("a")])
            assert (await reading.select("SELECT thread FROM threads")).rows == (("a",),)
            await store.close()
            assert (await reading.select("SELECT count(*) FROM events")).rows == ((2,),)
            await reading.close()
            later = open_reading(self.path)
            assert (await later.select("SELECT count(*) FROM events")).rows == ((2,),)
            await later.close()

        asyncio.run(test())

    def test_reading_where_no_store_is(self, tmp_path: Path) -> None:
        empty = tmp_path / "empty.db"
        sqlite3.connect(empty).execute("VACUUM").connection.close()
        for path in (tmp_path / "missing.db", empty):
            with pytest.raises(RelmError) as refused:
                open_reading(path)
            assert refused.value.code is Code.NOT_FOUND
        other = tmp_path / "text.db"
        other.write_text("this is no database, but it is long enough to be looked at as one" * 100)
        for opening in (lambda: open_reading(other), lambda: SqliteStore.open(other, desk())):
            with pytest.raises(RelmError) as refused:
                opening()
            assert refused.value.code is Code.UNREACHABLE
        assert not (tmp_path / "missing.db").exists()

    def test_three_locks_keep_readers_from_writing(self) -> None:
        async def test() -> None:
            store = SqliteStore.open(self.path, desk())
            for sql in ("ATTACH DATABASE ':memory:' AS other", "PRAGMA query_only = OFF", "CREATE TEMP TABLE mine (x)"):
                with pytest.raises(RelmError) as refused:
                    await store.select(sql)
                assert refused.value.witness["detail"] == "not authorized"
            await store.close()

        asyncio.run(test())
        reader = connect_reader(self.path)
        reader.set_authorizer(None)
        assert reader.execute("PRAGMA query_only").fetchone() == (1,)
        reader.execute("PRAGMA query_only = OFF")
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader.execute("DELETE FROM outbox")
        reader.close()

    def test_what_the_fence_refuses_is_found_and_the_rest_committed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def test() -> None:
            made = Desk.new()
            store = SqliteStore.open(self.path, made.plan)
            old = made.opening("a")
            await store.commit([old])
            # The look at the heads is made to miss once, as when another writer comes in between.
            looks = iter([True, True])
            fits = writing.Head.fits
            monkeypatch.setattr(writing.Head, "fits", lambda head, turn: next(looks, False) or fits(head, turn))
            assert await store.commit([old, made.opening("b")]) == [Stale("a"), Committed("b")]
            await store.close()

        asyncio.run(test())

    def test_an_old_sqlite_is_named(self) -> None:
        with pytest.raises(RelmError) as refused:
            check_sqlite((3, 37, 2))
        assert "3.37.2" in refused.value.sentence
        assert "3.38.0" in refused.value.sentence
        check_sqlite((3, 38, 0))

    def test_a_full_disk_is_an_error_that_says_so(self) -> None:
        async def test() -> None:
            made = Desk.new()
            store = SqliteStore.open(self.path, made.plan)
            await store.commit([made.opening("a")])
            writer = store._writer.connection  # pyright: ignore[reportPrivateUsage]
            pages = writer.execute("PRAGMA page_count").fetchone()[0]
            writer.execute(f"PRAGMA max_page_count = {pages}")
            turn = made.notes("a", 2000)
            with pytest.raises(RelmError) as refused:
                await store.commit([turn])
            assert refused.value.code is Code.UNREACHABLE
            writer.execute("PRAGMA max_page_count = 1000000")
            await store.commit([turn])
            assert (await verify(store)).ok
            await store.close()

        asyncio.run(test())

    def test_durability_settings(self) -> None:
        async def test() -> None:
            store = SqliteStore.open(self.path, desk())
            connection = store._writer.connection  # pyright: ignore[reportPrivateUsage]
            found = [
                connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("journal_mode", "synchronous", "foreign_keys")
            ]
            assert found == ["wal", 2, 1]
            await store.close()

        asyncio.run(test())

    @pytest.mark.process
    @pytest.mark.parametrize("seed", range(4))
    def test_kill_in_mid_commit_leaves_all_or_nothing(self, seed: int) -> None:
        command = [sys.executable, "-m", "tests.contract.store_committing", str(self.path)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            try:
                acknowledged = [int(child.stdout.readline()) for _ in range(2 + seed)][-1]
                _wait_for_a_transaction(self.path)
            finally:
                child.kill()
            acknowledged = max([acknowledged, *map(int, child.stdout.read().split())])

        async def check() -> None:
            store = SqliteStore.open(self.path, desk())
            report = await verify(store)
            assert report.ok, report.fault
            per_thread = "SELECT count(*) FROM thread_events GROUP BY thread"
            counts = {row[0] for row in (await store.select(per_thread)).rows}
            assert len(counts) == 1, "a commit is in every thread or in none"
            assert counts.pop() in (2 * acknowledged, 2 * acknowledged + 2)
            await store.close()

        asyncio.run(check())


def _wait_for_a_transaction(path: Path) -> None:
    """Return while the child holds the file's write lock."""
    connection = sqlite3.connect(path, timeout=0, isolation_level=None)
    end = time.monotonic() + DEADLINE_SECONDS
    try:
        while time.monotonic() < end:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return
            connection.execute("ROLLBACK")
            os.sched_yield()
    finally:
        connection.close()
    raise AssertionError("the child never wrote")
