"""Goal: a resolution binds the two threads of its obstruction, whichever is merged into which, and no third; a fork of
a fork has the genesis of the root. Method: three and four threads of the desk machine, whole rounds, per store."""

from __future__ import annotations

import asyncio

from relmachine.algebra.identity import history_id
from relmachine.errors import Code
from relmachine.store import reading
from tests.contract.fork_contract import ForkStore, prepared
from tests.unit.forks.workshop import Workshop

SHARED_EVENTS = 2


async def disagreeing(workshop: Workshop, *others: str) -> None:
    """Threads `a` and `b` that wrote different values once, resolved for `b`; `others` are forks from before."""
    at = await prepared(workshop)
    for other in others:
        workshop.fork(other, "a", at, SHARED_EVENTS)
    workshop.step("a", "decide", once="ada")
    workshop.step("b", "decide", once="bob")
    workshop.merge("a", "b")
    await workshop.settle()
    (line,) = await reading.obstructions(workshop.store)
    workshop.resolve("a", line.obstruction, "b")
    await workshop.settle()


async def once(workshop: Workshop, thread: str) -> object:
    """What the thread wrote once, None when nothing."""
    return (await reading.section(workshop.store, thread)).fields.get("once")


class ResolutionContract(ForkStore):
    def test_a_third_thread_gets_what_was_left_out_between_two(self) -> None:
        async def test(workshop: Workshop) -> None:
            await disagreeing(workshop, "c")
            merged = workshop.merge("c", "a")
            await workshop.settle()
            outcome = await workshop.outcome(merged)
            assert (outcome["outcome"], outcome["events"], outcome["left_out"]) == ("applied", 1, 0)
            assert await once(workshop, "c") == "ada"

        self.run(test)

    def test_nobody_decides_beside_the_stream(self) -> None:
        async def test(workshop: Workshop) -> None:
            await prepared(workshop)
            for thread in "ab":
                workshop.step(thread, "decide", once=thread)
            merges = [workshop.merge("a", "b")]
            await workshop.settle()
            forged = "SELECT obstruction_id, thread, seq + 9, other, 'because', 'nobody' FROM obstructions"
            refused = await asyncio.to_thread(self.raw, f"INSERT INTO resolutions {forged}")
            assert refused == "outside a commit: resolutions"
            merges.append(workshop.merge("a", "b"))
            await workshop.settle()
            assert [(await workshop.outcome(merge))["code"] for merge in merges] == [Code.OBSTRUCTED] * 2

        self.run(test)

    def test_between_the_two_it_binds_in_the_direction_that_can_be(self) -> None:
        async def test(workshop: Workshop) -> None:
            await disagreeing(workshop)
            again = workshop.merge("a", "b")  # a's own event cannot be taken out of a
            other_way = workshop.merge("b", "a")
            await workshop.settle()
            assert (await workshop.outcome(again))["code"] == Code.OBSTRUCTED
            outcome = await workshop.outcome(other_way)
            assert (outcome["outcome"], outcome["events"], outcome["left_out"]) == ("applied", 0, 1)
            assert await once(workshop, "b") == "bob"

        self.run(test)

    def test_the_same_two_events_between_others_are_an_obstruction_of_their_own(self) -> None:
        async def test(workshop: Workshop) -> None:
            await disagreeing(workshop, "c", "d")
            workshop.merge("c", "a")  # the loser's event goes another way
            workshop.step("d", "note", log="by the way")
            met = workshop.merge("b", "c")
            await workshop.settle()
            assert (await workshop.outcome(met))["code"] == Code.OBSTRUCTED
            (line,) = await reading.obstructions(workshop.store, "c", resolved=False)
            assert (line.thread, line.other, line.field) == ("b", "c", "once")
            workshop.resolve("b", line.obstruction, "b")
            first, second = workshop.merge("b", "c"), workshop.merge("d", "b")
            await workshop.settle()
            outcome = await workshop.outcome(first)
            assert (outcome["outcome"], outcome["left_out"]) == ("applied", 1)
            assert (await workshop.outcome(second))["outcome"] == "applied"
            assert await once(workshop, "d") == "bob"

        self.run(test)

    def test_a_fork_of_a_fork_at_the_empty_history_has_the_genesis_of_the_root(self) -> None:
        async def test(workshop: Workshop) -> None:
            await prepared(workshop)
            genesis = (await workshop.store.states(["a"]))["a"].genesis
            point = await reading.resolve(workshop.store, "b", 0)
            assert (point.history, point.sequence) == (history_id(genesis, ()), 0)
            workshop.fork("e", "b", point.history, 0)
            merged = workshop.merge("b", "e")
            await workshop.settle()
            assert (await workshop.store.states(["e"]))["e"].genesis == genesis
            assert (await workshop.outcome(merged))["outcome"] == "applied"
            assert (await reading.lineage(workshop.store, "e")).root == "a"

        self.run(test)

    def test_a_fork_of_what_is_no_fork_yet_waits_for_what_is_earlier_only(self) -> None:
        async def test(workshop: Workshop) -> None:
            at = await prepared(workshop)
            root = history_id((await workshop.store.states(["a"]))["a"].genesis, ())
            early = workshop.fork("early", "c", root, 0)  # nothing is on `c`: it cannot be told to be a fork of `a`
            workshop.fork("c", "a", at, SHARED_EVENTS)
            late = workshop.fork("late", "c", root, 0)
            assert await workshop.rounds.run(["late"]) == {} or "late" not in await workshop.store.states(["late"])
            await workshop.settle()
            assert (await workshop.outcome(early))["code"] == Code.HISTORY_MISMATCH
            assert (await workshop.outcome(late))["outcome"] == "applied"

        self.run(test)
