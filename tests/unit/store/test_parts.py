"""Goal: a commit goes in parts, so that control records come in between, and none of its turns is lost or doubled by
that; what others do between looking and writing is found. Method: turns of the permit log, and an order that does
something whenever the writer has the file.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from relmachine.errors import Code, RelmError
from relmachine.kernel.limits import Limits
from relmachine.kernel.proposal import Proposal
from relmachine.store.parts import STEPS_PER_PART_MAX
from relmachine.store.port import Committed, Stale
from relmachine.store.sqlite import SqliteStore
from relmachine.store.verify import verify
from relmachine.store.write_order import WriteOrder
from tests import permit
from tests.contract.store_turns import Desk
from tests.mutations import real

TURNS = 60


def turns() -> list[Proposal]:
    """The first turns of the log, of distinct threads."""
    found: dict[str, Proposal] = {}
    for turn in real.turns():
        if turn.before.cursor == 0:
            found.setdefault(turn.before.thread, turn)
    return list(found.values())[:TURNS]


class Meanwhile(WriteOrder):
    """Does something whenever the writer of data is about to write."""

    def __init__(self, do: Callable[[], object]) -> None:
        super().__init__()
        self._do = do

    def give_way(self) -> None:
        super().give_way()
        self._do()


def test_a_commit_goes_in_parts(tmp_path: Path) -> None:
    async def test() -> None:
        path, found, seen = tmp_path / "store.db", turns(), list[int]()

        def look() -> None:
            with closing(sqlite3.connect(path)) as other:
                seen.append(int(other.execute("SELECT count(*) FROM receipts").fetchone()[0]))

        store = SqliteStore.open(path, permit.plan(), order=Meanwhile(look))
        assert await store.commit(found) == [Committed(turn.before.thread) for turn in found]
        parts = [after - before for before, after in pairwise([*seen, sum(len(turn.receipts) for turn in found)])]
        longest = max(len(turn.receipts) for turn in found)
        assert len(parts) > 2 and max(parts) <= STEPS_PER_PART_MAX
        assert min(parts[:-1]) > STEPS_PER_PART_MAX - longest, "a part is as large as it may be"
        assert await store.commit(found) == [Stale(turn.before.thread) for turn in found]
        report = await verify(store)
        assert report.ok, report.fault
        assert report.counts["events"] == sum(len(turn.events) for turn in found)
        await store.close()

    asyncio.run(test())


def test_a_thread_that_another_writer_moved_meanwhile_is_stale_and_the_others_go_on(tmp_path: Path) -> None:
    async def test() -> None:
        path, found, faster = tmp_path / "store.db", turns()[:5], list[Proposal]()
        other = SqliteStore.open(path, permit.plan())

        def write() -> None:
            while faster:
                other._commit([faster.pop()], ())  # pyright: ignore[reportPrivateUsage]

        store = SqliteStore.open(path, permit.plan(), order=Meanwhile(write))
        faster.append(found[2])
        outcomes = await store.commit(found)
        assert [isinstance(outcome, Stale) for outcome in outcomes] == [place == 2 for place in range(5)]
        report = await verify(store)
        assert report.ok, report.fault
        assert report.counts["events"] == sum(len(turn.events) for turn in found)
        await store.close()
        await other.close()

    asyncio.run(test())


def test_one_that_is_always_overtaken_gives_up(tmp_path: Path) -> None:
    async def test() -> None:
        path, made = tmp_path / "store.db", Desk.new()
        other, ahead = SqliteStore.open(path, made.plan), list[Proposal]()

        def write() -> None:
            other._commit([ahead.pop()], ())  # pyright: ignore[reportPrivateUsage]

        limits = Limits()
        store = SqliteStore.open(path, made.plan, limits, order=Meanwhile(write))
        ahead += [made.notes(f"t{number}", 1) for number in range(limits.commit_attempts_max)]
        late = ahead[::-1]
        with pytest.raises(RelmError) as refused:
            await store.commit(late)
        assert refused.value.code == Code.LIMIT_EXCEEDED
        await store.close()
        await other.close()

    asyncio.run(test())


def test_stale_turns_of_a_part_leave_the_others_of_it(tmp_path: Path) -> None:
    async def test() -> None:
        found = turns()
        store = SqliteStore.open(tmp_path / "store.db", permit.plan())
        await store.commit(found[::3])
        outcomes = await store.commit(found)
        assert [isinstance(outcome, Stale) for outcome in outcomes] == [place % 3 == 0 for place in range(len(found))]
        report = await verify(store)
        assert report.ok, report.fault
        await store.close()

    asyncio.run(test())
