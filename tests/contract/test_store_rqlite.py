"""Goal: the replicated store keeps the store contract, loses nothing when its leader dies, and is made once. Method:
the contract class on one real server, cleared before each test; three real servers, killed while threads move."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from relmachine.errors import Code, RelmError
from relmachine.kernel.limits import Limits
from relmachine.machine.plan import Plan
from relmachine.store import reading
from relmachine.store.points import At
from relmachine.store.port import Committed, Stale, Store
from relmachine.store.rqlite.bounds import RqliteBounds
from relmachine.store.rqlite.client import Level
from relmachine.store.rqlite.store import RqliteStore, open_reading
from relmachine.store.sqlite import SqliteStore
from relmachine.store.verify import verify
from tests.contract.rqlite_between import Between, Fate
from tests.contract.rqlite_servers import RqliteServers
from tests.contract.store_contract import StoreContract
from tests.contract.store_turns import Desk

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RqliteServers]:
    servers = RqliteServers(tmp_path_factory.mktemp("rqlite"), 1)
    try:
        yield servers.start()
    finally:
        servers.end()


class TestRqliteStore(StoreContract):
    """The contract on one server."""

    @pytest.fixture(autouse=True)
    def _empty(self, servers: RqliteServers) -> None:
        servers.clear()
        self.servers = servers

    async def open(self, plan: Plan, limits: Limits | None = None) -> RqliteStore:
        return await RqliteStore.open(self.servers.urls, plan, limits)

    def raw(self, statement: str) -> str:
        return self.servers.servers[0].execute(statement)

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

    def test_a_turn_beyond_the_bound_names_it(self) -> None:
        async def test() -> None:
            made = Desk.new()
            store = await RqliteStore.open(self.servers.urls, made.plan, bounds=RqliteBounds(commit_bytes_max=5_000))
            with pytest.raises(RelmError) as refused:
                await store.commit([made.notes("a", 20)])
            assert refused.value.code is Code.LIMIT_EXCEEDED
            assert refused.value.witness["commit_bytes_max"] == 5_000
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


class TestUnknownOutcomes:
    """What a store makes of requests and answers that get lost."""

    @pytest.fixture(autouse=True)
    def _empty(self, servers: RqliteServers) -> None:
        servers.clear()
        self.url = servers.urls[0]

    def run(
        self, test: Callable[[RqliteStore, RqliteStore, Between, Desk], Awaitable[None]], *, sound: bool = True
    ) -> None:
        """Run `test` with a store behind the stand-in, one beside it, and turns; then verify the store if `sound`."""

        async def work() -> None:
            made = Desk.new()
            async with Between(self.url) as between:
                beside = await RqliteStore.open([self.url], made.plan)
                store = await RqliteStore.open([between.url], made.plan, bounds=RqliteBounds(retry_seconds_max=3.0))
                await test(store, beside, between, made)
                if sound:
                    assert (await verify(beside)).fault is None
                await store.close()
                await beside.close()

        asyncio.run(work())

    @pytest.mark.parametrize(
        "fates", [[fate] for fate in Fate] + [[Fate.UNANSWERED, Fate.LOST], list(Fate), [Fate.LATE] * 3]
    )
    def test_a_commit_takes_effect_once_and_is_known_to(self, fates: list[Fate]) -> None:
        async def test(store: RqliteStore, _beside: RqliteStore, between: Between, made: Desk) -> None:
            first = made.opening("a")
            await store.commit([first, made.opening("b")])
            between.fates.extend(fates)
            turns = [made.notes("a", 3), made.opening("c"), made.notes("b", 1)]
            assert await store.commit(turns, first.outbox) == [Committed("a"), Committed("c"), Committed("b")]
            assert not between.fates
            states = await store.states(["a", "b", "c"])
            assert {thread: state.head for thread, state in states.items()} == {
                thread: state.head for thread, state in made.states.items()
            }
            assert (await store.select("SELECT count(*) FROM thread_events")).rows == ((10,),)
            assert not set(first.outbox) & set(await store.unsent(100))

        self.run(test)

    def test_it_is_known_also_when_somebody_went_on_from_there(self) -> None:
        async def test(store: RqliteStore, beside: RqliteStore, between: Between, made: Desk) -> None:
            turn, later = made.opening("a"), made.notes("a", 2)

            async def go_on() -> None:
                assert await beside.commit([later]) == [Committed("a")]

            between.fates.append(Fate.UNANSWERED)
            between.then = go_on
            assert await store.commit([turn]) == [Committed("a")]
            assert (await store.states(["a"]))["a"].head == later.after.head

        self.run(test)

    def test_what_another_did_there_instead_is_stale(self) -> None:
        async def test(store: RqliteStore, beside: RqliteStore, between: Between, made: Desk) -> None:
            rival = Desk.new(made.plan)
            rival.steps.source = "rival"

            async def overtake() -> None:
                assert await beside.commit([rival.notes("a", 2)]) == [Committed("a")]

            between.fates.append(Fate.LOST)
            between.then = overtake
            assert await store.commit([made.notes("a", 2), made.opening("b")]) == [Stale("a"), Committed("b")]

        self.run(test)

    def test_other_refusals_between_the_same_ends_are_another_commit(self) -> None:
        async def test(store: RqliteStore, beside: RqliteStore, between: Between, made: Desk) -> None:
            await store.commit([made.opening("a")])
            turn = made.turn("a", made.steps.unreadable("a"))
            other = replace(
                turn, rejections=tuple(row._replace(sentence="decided elsewhere") for row in turn.rejections)
            )

            async def overtake() -> None:
                assert await beside.commit([other]) == [Committed("a")]

            between.fates.append(Fate.LOST)
            between.then = overtake
            assert await store.commit([turn]) == [Stale("a")]

        self.run(test, sound=False)

    def test_servers_that_never_answer_are_unreachable_in_time(self) -> None:
        async def test(store: RqliteStore, beside: RqliteStore, between: Between, made: Desk) -> None:
            between.fates.extend([Fate.LOST] * 1000)
            began = time.monotonic()
            with pytest.raises(RelmError) as refused:
                await store.commit([made.opening("a")])
            assert refused.value.code is Code.UNREACHABLE
            assert refused.value.witness["retry_seconds_max"] == 3.0
            assert time.monotonic() - began < 6
            assert await beside.states(["a"]) == {}

        self.run(test)


@pytest.fixture(scope="class")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RqliteServers]:
    servers = RqliteServers(tmp_path_factory.mktemp("cluster"), 3)
    try:
        yield servers.start()
    finally:
        servers.end()


class TestThreeServers:
    """One store on three servers, of which any may go."""

    @pytest.fixture(autouse=True)
    def _empty(self, cluster: RqliteServers) -> None:
        cluster.clear()
        self.servers = cluster

    def test_nodes_that_know_different_servers_share_the_store(self) -> None:
        async def test() -> None:
            made = Desk.new()
            stores = await asyncio.gather(*(RqliteStore.open([url], made.plan) for url in self.servers.urls))
            assert len({store.store_id for store in stores}) == 1
            for index, store in enumerate(stores):
                turn = made.notes("a", 2)
                assert await store.commit([turn]) == [Committed("a")]
                for other in stores:
                    assert (await other.states(["a"]))["a"].head == turn.after.head
                    assert len((await other.contributions("a", ["log"]))["log"]) == 2 * (index + 1)
            await asyncio.gather(*(store.close() for store in stores))

        asyncio.run(test())

    @pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
    def test_the_leader_goes_while_threads_move(self, how: signal.Signals) -> None:
        bounds = RqliteBounds(attempt_seconds_max=1.0)

        async def test() -> None:
            made = Desk.new()
            stores = [await RqliteStore.open(self.servers.urls, made.plan, bounds=bounds) for _ in range(2)]
            leader = self.servers.leader()
            slowest = 0.0
            for turn in range(30):
                if turn == 10:
                    leader.send(how)
                began = time.monotonic()
                both = [[made.notes(f"{side}{index}", 3) for index in range(10)] for side in range(2)]
                answers = await asyncio.gather(*(store.commit(some) for store, some in zip(stores, both, strict=True)))
                slowest = max(slowest, time.monotonic() - began)
                for answer in answers:
                    assert all(isinstance(outcome, Committed) for outcome in answer)
            print(f"{how.name} of the leader: {slowest:.1f} s without a commit")
            assert slowest < 15
            if how is signal.SIGKILL:
                leader.end()
                leader.start()
            else:
                leader.send(signal.SIGCONT)
            self.servers.until_ready()
            for store in stores:
                states = await store.states(list(made.states))
                assert {thread: state.head for thread, state in states.items()} == {
                    thread: state.head for thread, state in made.states.items()
                }
                assert (await store.select("SELECT count(*) FROM thread_events")).rows == ((30 * 20 * 3,),)
                assert (await verify(store)).fault is None
                await store.close()

        asyncio.run(test())

    def test_a_minority_answers_nothing(self) -> None:
        async def test() -> None:
            made = Desk.new()
            store = await RqliteStore.open(self.servers.urls, made.plan, bounds=RqliteBounds(retry_seconds_max=2.0))
            first = made.opening("a")
            await store.commit([first])
            for server in self.servers.servers[1:]:
                server.end()
            turn = made.notes("a", 1)
            for question in (store.states(["a"]), store.commit([turn]), store.unsent(1), store.receipts([("a", "x")])):
                with pytest.raises(RelmError) as refused:
                    await question
                assert refused.value.code is Code.UNREACHABLE
            for server in self.servers.servers[1:]:
                server.start()
            self.servers.until_ready()
            await store.commit([turn])
            assert (await store.states(["a"]))["a"].head == turn.after.head
            await store.close()

        asyncio.run(test())
