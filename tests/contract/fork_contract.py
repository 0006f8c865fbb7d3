"""Goal: forks, merges and resolutions mean the same on every store. Method: one class of tests, inherited per adapter:
whole rounds over a stream in memory, the rows they leave, and writes by somebody who goes round the code."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

import pytest

from relmachine.kernel.limits import Limits
from relmachine.store import reading
from relmachine.store.port import Reads
from relmachine.store.sqlite import SqliteStore
from relmachine.store.verify import verify
from tests.contract.store_place import StorePlace
from tests.contract.store_turns import desk
from tests.unit.forks.workshop import Workshop

TABLES = [
    "events",
    "histories",
    "thread_events",
    "claims",
    "contributions",
    "extensions",
    "threads",
    "receipts",
    "rejections",
    "transitions",
    "commits",
    "controls",
    "obstructions",
    "resolutions",
    "outbox",
    "fibers",
    "fiber_points",
]
"""All that a rebuild from the stream must give again. Commits are cut where rounds were: their ends are compared."""

WRITES = (
    "INSERT INTO thread_events SELECT 'b', 99, event_id, history_id, evidence, 0 FROM thread_events WHERE thread = 'a'",
    "INSERT INTO commits SELECT thread, head, seq, epoch, 'x', seq + 1 FROM threads WHERE thread = 'b'",
    "UPDATE controls SET payload = '{}'",
    "DELETE FROM controls",
    "INSERT OR REPLACE INTO controls SELECT thread, seq, record, 'x', payload, evidence FROM controls",
    "INSERT INTO controls SELECT thread, seq + 99, record, step_key, payload, evidence FROM controls",
    "INSERT INTO obstructions SELECT 'o', thread, other, seq, disagreement, field, witness, left_side, right_side"
    " FROM obstructions",
    "UPDATE obstructions SET other = 'x'",
    "DELETE FROM obstructions",
    "UPDATE resolutions SET keep = 'x'",
    "DELETE FROM resolutions",
    "INSERT OR REPLACE INTO resolutions SELECT obstruction_id, thread, seq, 'x', reason, principal FROM resolutions",
    "INSERT INTO resolutions VALUES ('nothing', 'a', 1, 'a', 'because', 'me')",
)

Test = Callable[[Workshop], Awaitable[None]]


async def contents(store: Reads) -> dict[str, list[tuple[object, ...]]]:
    """The rows of every table, without names that a store makes up and without where a history came first."""
    found: dict[str, list[tuple[object, ...]]] = {}
    for table in TABLES:
        answer = await store.select(f"SELECT * FROM {table}")
        hidden = {"number"} | ({"thread", "seq", "place"} if table == "histories" else set[str]())
        keep = [place for place, name in enumerate(answer.columns) if name not in hidden]
        found[table] = sorted(tuple(row[place] for place in keep) for row in answer.rows)
    return found


async def prepared(workshop: Workshop) -> str:
    """Thread `a` with two steps, `b` forked from it; returns the history they share."""
    workshop.step("a", "receive", union="ann", latest="2026-01-01T00:00:00Z", least=3, count=3)
    at = workshop.step("a", "check", union="bob", weight=0.1)
    await workshop.settle()
    head = await workshop.head("a")
    workshop.fork("b", "a", head, at)
    await workshop.settle()
    return head


class ForkStore(StorePlace):
    """A workshop on the store of the test."""

    def run(self, test: Test, limits: Limits | None = None) -> None:
        """Run `test` on a workshop of the desk machine; the store must verify afterwards."""

        async def work() -> None:
            plan = desk()
            store = await self.open(plan, limits)
            workshop = Workshop(plan, store, limits=limits)
            try:
                await test(workshop)
                report = await verify(store)
                assert report.fault is None, report.fault
            finally:
                await store.close()

        asyncio.run(work())


class ForkContract(ForkStore):
    def test_a_fork_has_the_past_of_its_source(self) -> None:
        async def test(workshop: Workshop) -> None:
            at = await prepared(workshop)
            store = workshop.store
            states = await store.states(["a", "b"])
            assert states["a"].genesis == states["b"].genesis
            assert await workshop.head("b") == at
            sections = [await reading.section(store, thread) for thread in "ab"]
            assert sections[0].fields == sections[1].fields
            assert sections[0].section_digest == sections[1].section_digest
            assert await reading.settled(store, "b") == await reading.settled(store, "a") == ["checked", "received"]
            body = workshop.stream.messages[0].body
            again = workshop.stream.publish("b", "receive", body)
            own = workshop.step("b", "note", log="mine")
            await workshop.settle()
            assert await workshop.outcome(again) == {}, "a repetition leaves no row"
            assert (await workshop.outcome(own))["outcome"] == "committed"
            assert (await workshop.head("a"), (await store.states(["b"]))["b"].depth) == (at, 3)
            lineage = await reading.lineage(store, "b")
            assert (lineage.root, lineage.forked and lineage.forked.at, lineage.closed) == ("a", at, None)

        self.run(test)

    @pytest.mark.parametrize("direction", ["ab", "ba"])
    def test_a_merge_gives_the_union_and_closes_the_source(self, direction: str) -> None:
        async def test(workshop: Workshop) -> None:
            at = await prepared(workshop)
            target, source = direction
            workshop.step("a", "decide", once="ada")
            workshop.step("b", "opine", log="well", weight=0.2)
            merged = workshop.merge(target, source, "m")
            late = workshop.step(source, "note", log="too late")
            workshop.merge(target, source, "m")  # the whole batch once more
            after = workshop.step(target, "note", log="on")
            await workshop.settle(random.Random(3))
            outcome = await workshop.outcome(merged)
            assert (outcome["outcome"], outcome["source"], outcome["events"]) == ("applied", source, 1)
            assert (await workshop.outcome(late))["code"] == "thread_closed"
            assert (await workshop.outcome(after))["outcome"] == "committed"
            line = await reading.events(workshop.store, target)
            assert [event.step for event in line][:2] == ["receive", "check"]
            assert await reading.normal_form(workshop.store, target) == "(receive)(check opine)(decide note)"
            records = (await workshop.store.select("SELECT thread, record FROM controls ORDER BY seq")).rows
            assert records == (("b", "_fork"), (source, "_close"), (target, "_merge")), "nothing happened twice"
            assert (await reading.section(workshop.store, target)).fields["weight"] == 0.3
            assert at in {event.history for event in line}

        self.run(test)

    def test_the_order_of_merging_does_not_show(self) -> None:
        async def test(workshop: Workshop) -> None:
            at = await prepared(workshop)
            workshop.fork("c", "a", at, 2)
            workshop.fork("d", "a", at, 2)
            for thread in "bd":
                workshop.step(thread, "opine", "same", log="well", weight=0.2)
            for thread in "ac":
                workshop.step(thread, "decide", "equal", once="ada")
            first, second = workshop.merge("a", "b"), workshop.merge("d", "c")
            await workshop.settle()
            one, other = await workshop.outcome(first), await workshop.outcome(second)
            assert one["history"] == other["history"]
            assert (await reading.section(workshop.store, "a")).fields == (
                await reading.section(workshop.store, "d")
            ).fields

        self.run(test)

    def test_an_obstruction_is_named_kept_and_resolved(self) -> None:
        async def test(workshop: Workshop) -> None:
            await prepared(workshop)
            for thread, who in (("a", "ada"), ("b", "bob")):
                workshop.step(thread, "decide", once=who)
                workshop.step(thread, "note", log=who)
            await workshop.settle()
            heads = [await workshop.head(thread) for thread in "ab"]
            merged = workshop.merge("a", "b")
            await workshop.settle()
            outcome = await workshop.outcome(merged)
            assert outcome["code"] == "obstructed"
            assert cast("dict[str, object]", outcome["witness"])["pairs"] == 2
            assert heads == [await workshop.head(thread) for thread in "ab"], "nothing is merged"
            lines = await reading.obstructions(workshop.store, "a")
            assert {(line.disagreement, line.field) for line in lines} == {("once", "once"), ("dependent", "")}
            once = next(line for line in lines if line.field)
            sides = (await reading.obstruction(workshop.store, once.obstruction)).sides
            assert [(side.thread, side.value) for side in sides] == [("a", '"ada"'), ("b", '"bob"')]
            strange = workshop.resolve("b", once.obstruction, "a")
            resolved = workshop.resolve("a", once.obstruction, "a")
            again = workshop.resolve("a", once.obstruction, "b")
            left = workshop.merge("a", "b")
            await workshop.settle()
            codes = [(await workshop.outcome(at)).get("code") for at in (strange, resolved, again, left)]
            assert codes == ["not_found", None, "already_resolved", "obstructed"]
            open_lines = await reading.obstructions(workshop.store, "a", resolved=False)
            assert [line.disagreement for line in open_lines] == ["dependent"], "the same pair is no new obstruction"
            workshop.resolve("a", open_lines[0].obstruction, "a")
            last = workshop.merge("a", "b")
            await workshop.settle()
            told = await workshop.outcome(last)
            assert (told["outcome"], told["events"], told["left_out"]) == ("applied", 0, 2)
            assert await workshop.head("a") == heads[0]

        self.run(test)

    def test_a_rebuild_from_the_stream_gives_the_same_rows(self, tmp_path: Path) -> None:
        async def test(workshop: Workshop) -> None:
            at = await prepared(workshop)
            workshop.step("a", "decide", once="ada")
            workshop.step("b", "decide", once="bob")
            workshop.merge("a", "b")
            workshop.fork("c", "a", at, 2)
            workshop.step("c", "opine", log="well", weight=0.2)
            workshop.fork("late", "a", at, 3)
            workshop.merge("a", "c")
            workshop.merge("b", "a")
            await workshop.settle(random.Random(1))
            expected = await contents(workshop.store)
            for seed in range(2):
                store = SqliteStore.open(tmp_path / f"again-{seed}.db", workshop.plan)
                await Workshop(workshop.plan, store, workshop.stream).settle(random.Random(seed))
                found = await contents(store)
                for table in TABLES:
                    if table in ("commits", "outbox"):
                        continue  # how many steps a turn took depends on the rounds
                    assert found[table] == expected[table], table
                await store.close()

        self.run(test)

    def test_somebody_who_goes_round_the_code_cannot_change_forks_and_merges(self) -> None:
        async def test(workshop: Workshop) -> None:
            await prepared(workshop)
            workshop.step("a", "decide", once="ada")
            workshop.step("b", "decide", once="bob")
            workshop.merge("a", "b")
            await workshop.settle()
            (line,) = await reading.obstructions(workshop.store)
            workshop.resolve("a", line.obstruction, "a")
            workshop.merge("a", "b")
            await workshop.settle()
            before = await contents(workshop.store)
            for statement in WRITES:
                assert await asyncio.to_thread(self.raw, statement), statement
            assert await contents(workshop.store) == before

        self.run(test)
