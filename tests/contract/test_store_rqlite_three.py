"""Goal: a store on three servers loses nothing when one of them goes. Method: three real servers, killed and frozen
while threads move; verified afterwards."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator

import pytest

from relmachine.errors import Code, RelmError
from relmachine.store.port import Committed
from relmachine.store.rqlite.bounds import RqliteBounds
from relmachine.store.rqlite.store import RqliteStore
from relmachine.store.verify import verify
from tests.contract.rqlite_servers import RqliteServers
from tests.contract.store_turns import Desk

pytestmark = pytest.mark.process


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
                report = await verify(store)
                assert (report.fault, report.counts["events"]) == (None, 2 * (index + 1))
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
