"""Goal: a proposal takes effect only where its thread stands, whoever sends it.
Method: tests that every store adapter inherits."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from relmachine.store.port import Committed, Stale, Store
from tests.contract.store_contract import StoreContract, counts
from tests.contract.store_turns import Desk


class FencingContract(StoreContract):
    @pytest.mark.parametrize("change", [{"head": "0" * 64}, {"cursor": 1}, {"epoch": 1}])
    def test_a_proposal_from_elsewhere_is_stale(self, change: dict[str, object]) -> None:
        async def test(store: Store, made: Desk) -> None:
            await store.commit([made.opening("a")])
            good = made.notes("a", 1)
            bad = replace(good, before=replace(good.before, **change))
            assert await store.commit([bad]) == [Stale("a")]
            assert (await store.select("SELECT count(*) FROM events")).rows == ((2,),)
            assert await store.commit([good]) == [Committed("a")]

        self.run(test)

    @pytest.mark.parametrize("change", [{"head": "0" * 64}, {"cursor": 1}, {"epoch": 1}])
    def test_a_new_thread_starts_at_its_genesis(self, change: dict[str, object]) -> None:
        async def test(store: Store, made: Desk) -> None:
            good = made.opening("a")
            assert await store.commit([replace(good, before=replace(good.before, **change))]) == [Stale("a")]
            assert (await store.select("SELECT count(*) FROM threads")).rows == ((0,),)

        self.run(test)

    def test_the_same_proposal_again_is_stale_and_changes_nothing(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            proposal = made.opening("a")
            await store.commit([proposal])
            before = await counts(store)
            assert await store.commit([proposal]) == [Stale("a")]
            assert await counts(store) == before

        self.run(test)

    def test_a_turn_that_only_refuses_is_fenced(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            first = made.turn("a", made.steps.refused("a", "check"))
            assert await store.commit([first]) == [Committed("a")]
            assert first.after.head == first.before.head
            assert await store.commit([first]) == [Stale("a")]
            assert (await store.select("SELECT count(*) FROM rejections")).rows == ((1,),)

        self.run(test)

    def test_one_stale_among_many_fails_alone(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            first = made.opening("b")
            await store.commit([first])
            proposals = [made.opening("a"), first, made.opening("c")]
            outcomes = await store.commit(proposals)
            assert outcomes == [Committed("a"), Stale("b"), Committed("c")]
            assert set(await store.states(["a", "b", "c"])) == {"a", "b", "c"}

        self.run(test)

    def test_two_stores_on_one_place_race(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            other = await self.open(made.plan)
            rival = Desk.new(made.plan)
            rival.steps.source = "rival"
            wins = 0
            for _ in range(20):
                ours, theirs = made.notes("a", 2), rival.notes("a", 2)
                outcomes = await asyncio.gather(store.commit([ours]), other.commit([theirs]))
                committed = [isinstance(answer[0], Committed) for answer in outcomes]
                assert sorted(committed) == [False, True]
                winner = made if committed[0] else rival
                wins += committed[0]
                for loser in (made, rival):
                    loser.states = dict(winner.states)
                    loser.steps.sequence = max(made.steps.sequence, rival.steps.sequence)
            assert (await store.select("SELECT count(*) FROM thread_events")).rows == ((40,),)
            await other.close()

        self.run(test)

    def test_nobody_fences_a_thread_but_by_what_it_is_told(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            await store.commit([made.opening("a")])
            for columns in ("fenced = 1", "epoch = 1", "epoch = 1, fenced = 1"):
                refused = self.raw(f"UPDATE threads SET {columns}")
                assert refused == "a thread is stopped and paused by what it is told", columns
            assert await store.commit([made.notes("a", 1)]) == [Committed("a")]

        self.run(test)

    def test_the_fence_holds_against_those_who_go_round_the_code(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            await store.commit([made.opening("a")])
            assert self.raw("INSERT INTO commits VALUES ('a', 'x', 3, 0, 'y', 9)") == "stale"
            assert self.raw("INSERT INTO commits SELECT thread, head, seq, 1, 'y', 9 FROM threads") == "stale"
            assert self.raw("INSERT INTO commits SELECT thread, head, 0, epoch, 'y', 9 FROM threads") != ""
            assert self.raw("INSERT INTO commits VALUES ('nobody', NULL, 0, 0, 'y', 9)") != ""
            assert self.raw("INSERT INTO commits VALUES ('nobody', 'x', 0, 0, 'y', 9)") == "stale"
            assert self.raw("UPDATE threads SET head = 'x'") == "a thread moves by a commit"
            assert self.raw("UPDATE threads SET seq = seq + 1") == "a thread moves by a commit"
            assert self.raw("UPDATE threads SET epoch = -1") == "an epoch never falls"
            assert "write_once" in self.raw("DELETE FROM threads")
            assert "write_once" in self.raw("UPDATE threads SET thread = 'z'")
            assert "sequence 0" in self.raw("INSERT INTO threads VALUES ('z', 'z', 'x', 0, 5, '{}', 0, 0)")

        self.run(test)
