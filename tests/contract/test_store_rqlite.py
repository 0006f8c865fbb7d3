"""Goal: the replicated store keeps the store contract, counts what its fence refuses, and is made once. Method: the
contract classes on one real server, cleared before each test."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from relmachine.errors import Code, RelmError
from relmachine.kernel.limits import Limits
from relmachine.store import reading
from relmachine.store.points import At
from relmachine.store.port import Committed, Stale, Store, TooLarge
from relmachine.store.rqlite.bounds import RqliteBounds
from relmachine.store.rqlite.level import Level
from relmachine.store.rqlite.store import RqliteStore, open_reading
from relmachine.store.sqlite import SqliteStore
from relmachine.store.verify import verify
from tests.contract.store_commits_contract import CommitsContract
from tests.contract.store_contract import StoreContract
from tests.contract.store_deciding_contract import DecidingContract
from tests.contract.store_fencing_contract import FencingContract
from tests.contract.store_forestalled_contract import ForestalledContract
from tests.contract.store_lane_contract import LaneContract
from tests.contract.store_opening_contract import OpeningContract
from tests.contract.store_outbox_contract import OutboxContract
from tests.contract.store_place import OnServer
from tests.contract.store_selecting_contract import SelectingContract
from tests.contract.store_turns import Desk
from tests.contract.store_write_once_contract import WriteOnceContract

pytestmark = pytest.mark.process


class TestCommits(OnServer, CommitsContract): ...


class TestFencing(OnServer, FencingContract): ...


class TestLane(OnServer, LaneContract): ...


class TestDeciding(OnServer, DecidingContract): ...


class TestOutbox(OnServer, OutboxContract): ...


class TestSelecting(OnServer, SelectingContract): ...


class TestWriteOnce(OnServer, WriteOnceContract): ...


class TestForestalled(OnServer, ForestalledContract): ...


class TestOpening(OnServer, OpeningContract): ...


class TestServer(OnServer, StoreContract):
    """What only servers can do."""

    def test_nodes_that_create_the_store_at_once_share_it(self) -> None:
        async def test() -> None:
            made = Desk.new()
            stores = await asyncio.gather(*(self.open(made.plan) for _ in range(6)))
            assert len({store.store_id for store in stores}) == 1
            found = await stores[0].select("SELECT value FROM meta WHERE key = 'store_id'")
            assert found.rows == ((stores[0].store_id,),)
            assert (await stores[1].select("SELECT count(*) FROM plans")).rows == ((1,),)
            assert await stores[2].commit([made.opening("a")]) == [Committed("a")]
            await asyncio.gather(*(store.close() for store in stores))

        asyncio.run(test())

    def test_a_store_can_be_looked_at(self) -> None:
        async def test() -> None:
            with pytest.raises(RelmError) as missing:
                await open_reading(self.servers.urls)
            assert missing.value.code is Code.NOT_FOUND
            made = Desk.new()
            store = await self.open(made.plan)
            await store.commit([made.opening("a")])
            looking = await open_reading(self.servers.urls)
            assert looking.store_id == store.store_id
            for level in Level:
                assert (await looking.select("SELECT thread FROM threads", level=level)).rows == (("a",),)
            await looking.close()
            await store.close()

        asyncio.run(test())

    def test_refusals_of_the_fence_are_counted_and_kept(self) -> None:
        async def test() -> None:
            made = Desk.new()
            store, other = await self.open(made.plan), await self.open(made.plan)
            old = made.opening("a")
            await store.commit([old])
            for _ in range(3):
                assert await other.commit([old]) == [Stale("a")]
            assert (store.fence_refusals, other.fence_refusals) == (0, 3)
            assert await store.commit([old, made.opening("b")]) == [Stale("a"), Committed("b")]
            counted = "SELECT refusals FROM fence_refusals ORDER BY refusals"
            assert (await store.select(counted)).rows == ((1,),), "it goes with what is committed next"
            assert await other.commit([old, made.opening("c")]) == [Stale("a"), Committed("c")]
            assert (await store.select(counted)).rows == ((1,), (4,))
            assert await other.commit([old]) == [Stale("a")]
            await other.close()
            assert (await store.select(counted)).rows == ((1,), (5,)), "or at the end"
            await store.close()

        asyncio.run(test())

    def test_without_the_trigger_the_fence_does_not_hold(self) -> None:
        async def test() -> None:
            made = Desk.new()
            store = await self.open(made.plan)
            await store.commit([made.opening("a")])
            good = made.notes("a", 1)
            bad = replace(good, before=replace(good.before, epoch=7))
            assert self.raw("DROP TRIGGER commits_fence") == ""
            assert await store.commit([bad]) == [Committed("a")]
            assert store.fence_refusals == 0
            await store.close()

        asyncio.run(test())

    def test_many_requests_for_what_is_too_large_for_one(self) -> None:
        async def test() -> None:
            made = Desk.new()
            bounds = RqliteBounds(request_bytes_max=20_000, value_bytes_max=2_000)
            store = await RqliteStore.open(self.servers.urls, made.plan, bounds=bounds)
            turns = [made.opening(f"t{index}") for index in range(40)]
            first = made.opening("stale")
            await store.commit([first], ())
            outcomes = await store.commit([*turns[:20], first, *turns[20:]], first.outbox)
            assert outcomes.count(Committed("t0")) == 1
            assert [outcome for outcome in outcomes if not isinstance(outcome, Committed)] == [Stale("stale")]
            assert {row.thread for row in await store.unsent(1000)} == {turn.before.thread for turn in turns}
            assert (await store.select("SELECT count(*) FROM events")).rows == ((82,),)
            await store.close()

        asyncio.run(test())

    def test_a_turn_beyond_the_bound_fails_alone(self) -> None:
        async def test() -> None:
            made = Desk.new()
            store = await RqliteStore.open(self.servers.urls, made.plan, bounds=RqliteBounds(commit_bytes_max=5_000))
            large, small = await store.commit([made.notes("a", 20), made.notes("b", 1)])
            assert isinstance(large, TooLarge)
            assert (large.thread, large.commit_bytes_max) == ("a", 5_000)
            assert large.commit_bytes > 5_000
            assert small == Committed("b")
            assert set(await store.states(["a", "b"])) == {"b"}
            await store.close()

        asyncio.run(test())

    def test_sections_and_snapshots_are_those_of_the_embedded_store(self, tmp_path: Path) -> None:
        limits = Limits(section_snapshot_every=4)
        snapshots = "SELECT history_id, section_data, thread, seq, depth FROM section_snapshots ORDER BY thread, depth"

        async def test() -> None:
            made = Desk.new()
            stores: list[Store] = [
                await self.open(made.plan, limits),
                SqliteStore.open(tmp_path / "s.db", made.plan, limits),
            ]
            for thread, count in (("a", 1), ("b", 3), ("a", 2), ("a", 1), ("b", 9), ("a", 6), ("b", 1), ("a", 30)):
                turn = made.opening(thread) if thread not in made.states else made.notes(thread, count)
                for store in stores:
                    assert await store.commit([turn]) == [Committed(thread)]
            again: list[Store] = [await self.open(made.plan, limits), stores[1]]
            turn = made.notes("a", 50)
            for store in again:
                assert await store.commit([turn]) == [Committed("a")]
            here, there = [(await store.select(snapshots)).rows for store in stores]
            assert here == there
            assert len(here) > 4
            for thread in ("a", "b"):
                for at in (None, *(row[0] for row in here if row[2] == thread)):
                    views = [await reading.section(store, thread, cast(At, at)) for store in stores]
                    assert views[0] == views[1]
            assert (await verify(stores[0])).fault is None
            assert await reading.figures(stores[0]) == await reading.figures(stores[1])
            for store in (*stores, again[0]):
                await store.close()

        asyncio.run(test())
