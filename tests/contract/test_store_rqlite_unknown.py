"""Goal: a store knows what became of requests and answers that get lost. Method: a stand-in before one real server that
loses them, or lets them arrive late."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from relmachine.errors import Code, RelmError
from relmachine.store.port import Committed, Stale
from relmachine.store.rqlite.bounds import RqliteBounds
from relmachine.store.rqlite.store import RqliteStore
from relmachine.store.verify import verify
from tests.contract.rqlite_between import Between, Fate
from tests.contract.rqlite_servers import RqliteServers
from tests.contract.store_turns import Desk

pytestmark = pytest.mark.process


class TestUnknownOutcomes:
    """What a store makes of requests and answers that get lost."""

    @pytest.fixture(autouse=True)
    def _empty(self, one_rqlite: RqliteServers) -> None:
        one_rqlite.clear()
        self.url = one_rqlite.urls[0]

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
