"""Goal: a record decides the same whenever and wherever its turn runs, and nothing happens twice. Method: threads run
in every order, readers that lag, nodes with old states, records published by hand, and a process killed between the
two commits of a merge."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from relmachine.kernel.control import CLOSE, MERGE
from relmachine.kernel.limits import Limits
from relmachine.store import reading
from relmachine.store.sqlite import SqliteStore
from relmachine.store.verify import verify
from tests.contract.fork_contract import contents, prepared
from tests.contract.store_turns import desk
from tests.unit.forks.workshop import Workshop

ROOT = Path(__file__).parents[3]


def play(tmp_path: Path, test: Callable[[Workshop], Awaitable[None]], limits: Limits | None = None) -> None:
    async def work() -> None:
        store = SqliteStore.open(tmp_path / "store.db", desk(), limits)
        await test(Workshop(desk(), store, limits=limits))
        report = await verify(store)
        assert report.fault is None, report.fault
        await store.close()

    asyncio.run(work())


def test_a_merge_waits_for_both_threads(tmp_path: Path) -> None:
    """Each record runs before what it waits for; its cursor stays, and later turns decide it."""

    async def test(workshop: Workshop) -> None:
        await prepared(workshop)
        workshop.step("a", "decide", once="ada")
        workshop.step("b", "opine", log="well", weight=0.2)
        merged = workshop.merge("a", "b")
        cursors = {name: state.cursor for name, state in (await workshop.store.states(["a", "b"])).items()}
        at = await workshop.rounds.run(["b"])
        assert at["b"] == merged - 2, "the step before the record is decided"
        assert (await workshop.rounds.run(["b"]))["b"] == merged - 2, "the other thread has not decided its step"
        assert (await workshop.rounds.run(["a"]))["a"] == merged - 3
        assert (await workshop.rounds.run(["a"]))["a"] == merged - 3, "the closing comes first"
        assert (await workshop.rounds.run(["b"]))["b"] == merged - 1
        assert (await workshop.rounds.run(["a"]))["a"] == merged
        assert cursors["a"] < merged
        assert (await workshop.outcome(merged))["outcome"] == "applied"

    play(tmp_path, test)


def test_a_fork_waits_for_its_source(tmp_path: Path) -> None:
    async def test(workshop: Workshop) -> None:
        await prepared(workshop)
        twin = Workshop(desk(), SqliteStore.open(tmp_path / "twin.db", desk()), workshop.stream)
        assert (await twin.rounds.run(["b"]))["b"] == 0, "its source has decided nothing yet"
        assert (await twin.rounds.run(["a", "b"]))["a"] == 2
        assert (await twin.rounds.run(["b"]))["b"] == 3
        assert await twin.head("b") == await workshop.head("b")
        await twin.store.close()

    play(tmp_path, test)


def test_a_reader_that_lags_decides_nothing(tmp_path: Path) -> None:
    async def test(workshop: Workshop) -> None:
        await prepared(workshop)
        merged = workshop.merge("a", "b")
        workshop.stream.visible = merged - 1
        await workshop.rounds.run(["a", "b"])
        assert await workshop.outcome(merged - 1) == {}, "the message after the closing is not seen yet"
        workshop.stream.visible = None
        await workshop.settle()
        assert (await workshop.outcome(merged))["outcome"] == "applied"

    play(tmp_path, test)


@pytest.mark.parametrize(
    ("records", "codes"),
    [
        ([("b", CLOSE, {"target": "a"}, "k"), ("a", "note", {}, "n")], ["merge_unpaired", None]),
        ([("a", MERGE, {"source": "b"}, "k")], ["merge_unpaired"]),
        ([("b", CLOSE, {"target": "a"}, "k"), ("a", MERGE, {"source": "b"}, "other")], ["merge_unpaired"] * 2),
        ([("b", CLOSE, {"target": "a"}, "k"), ("a", MERGE, {"source": "c"}, "k")], ["merge_unpaired"] * 2),
        ([("b", CLOSE, {"target": "c"}, "k"), ("a", MERGE, {"source": "b"}, "k")], ["merge_unpaired"] * 2),
        ([("b", CLOSE, {"target": "b"}, "k"), ("b", MERGE, {"source": "b"}, "k")], ["merge_unpaired", "id_conflict"]),
        ([("b", CLOSE, {"into": "a"}, "k"), ("a", MERGE, {"source": "b"}, "k")], ["payload_invalid"] * 2),
        ([("b", CLOSE, {"target": "z"}, "k"), ("z", MERGE, {"source": "b"}, "k")], ["genesis_mismatch"] * 2),
        (
            [("a", "note", {}, "k"), ("b", CLOSE, {"target": "a"}, "k"), ("a", MERGE, {"source": "b"}, "k")],
            [None, "merge_unpaired", "id_conflict"],
        ),
    ],
)  # fmt: skip
def test_records_that_do_not_pair_up_are_refused_and_change_nothing(
    tmp_path: Path, records: list[tuple[str, str, dict[str, object], str]], codes: list[str | None]
) -> None:
    async def test(workshop: Workshop) -> None:
        await prepared(workshop)
        before = [await workshop.head(thread) for thread in "ab"]
        for thread, kind, data, key in records:
            workshop.stream.publish(thread, kind, workshop.body(kind, key, data))
        first = len(workshop.stream.messages) - len(records) + 1
        workshop.step("elsewhere", "receive")  # so that no record is the last on the stream
        await workshop.settle(random.Random(5))
        found: list[object] = []
        for at in range(first, first + len(records)):
            rows = await workshop.store.deciding("SELECT code FROM rejections WHERE seq = ?", (at,))
            found.append(rows[0][0] if rows else None)
        assert found == codes
        assert await workshop.head("b") == before[1]
        assert not (await workshop.store.select("SELECT 1 FROM controls WHERE record <> '_fork'")).rows

    play(tmp_path, test)


def test_both_records_are_asked_about_and_one_denial_stops_both(tmp_path: Path) -> None:
    async def test(workshop: Workshop) -> None:
        await prepared(workshop)
        merged = workshop.merge("a", "b", principal="nobody")
        await workshop.settle()
        assert [(await workshop.outcome(at))["code"] for at in (merged - 1, merged)] == ["policy_denied"] * 2
        assert workshop.policy.asked[-2:] == [(CLOSE, "b"), (MERGE, "a")]

    play(tmp_path, test)


def test_a_node_with_an_old_state_finds_what_another_decided(tmp_path: Path) -> None:
    async def test(workshop: Workshop) -> None:
        await prepared(workshop)
        other = workshop.node()
        workshop.step("b", "opine", log="well", weight=0.2)
        await workshop.settle(rounds=other)
        merged = workshop.merge("a", "b")
        await workshop.settle()
        for thread in "ab":
            assert (await other.run([thread]))[thread] <= merged
            assert (await other.run([thread]))[thread] in (merged - 1, merged), "the old state is forgotten"

    play(tmp_path, test)


def test_more_events_than_the_limit_are_refused_by_name(tmp_path: Path) -> None:
    async def test(workshop: Workshop) -> None:
        at = await prepared(workshop)
        for _ in range(4):
            workshop.step("b", "opine", log="well", weight=0.2)
        merged = workshop.merge("a", "b")
        await workshop.settle()
        outcome = await workshop.outcome(merged)
        assert (outcome["code"], outcome["witness"]) == ("limit_exceeded", {"events_joined_max": 3})
        assert await workshop.head("a") == at
        forked = workshop.fork("c", "b", await workshop.head("b"), merged - 2)
        await workshop.settle()
        assert (await workshop.outcome(forked))["code"] == "limit_exceeded"

    play(tmp_path, test, Limits(events_joined_max=3))


@pytest.mark.parametrize("at_sequence", [0, 1, 2, 3, 99])
def test_a_fork_of_a_history_that_was_not_there_is_refused(tmp_path: Path, at_sequence: int) -> None:
    async def test(workshop: Workshop) -> None:
        await prepared(workshop)
        forked = workshop.fork("c", "a", "0" * 64, at_sequence)
        await workshop.settle()
        assert (await workshop.outcome(forked))["code"] == "history_mismatch"
        workshop.step("c", "receive")
        late = workshop.fork("c", "a", await workshop.head("a"), 2)
        await workshop.settle()
        assert (await workshop.outcome(late))["code"] == "thread_not_new"

    play(tmp_path, test)


def test_a_step_refused_on_one_side_and_committed_on_the_other_keeps_its_receipts(tmp_path: Path) -> None:
    """The target goes on to answer what it answered before; the event comes with the merge all the same."""

    async def test(workshop: Workshop) -> None:
        workshop.step("a", "receive")
        await workshop.settle()
        workshop.fork("b", "a", await workshop.head("a"), 1)
        refused = workshop.step("a", "decide", "k", once="ada")
        workshop.step("b", "check")
        workshop.step("b", "decide", "k", once="ada")
        merged = workshop.merge("a", "b")
        await workshop.settle()
        assert (await workshop.outcome(merged))["events"] == 2
        assert (await workshop.outcome(refused))["code"] == "requires"
        assert await reading.settled(workshop.store, "a") == ["checked", "decided", "received"]

    play(tmp_path, test)


def test_the_death_of_a_node_between_the_two_commits_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "killed.db"
    command = [sys.executable, "-m", "tests.unit.forks.killed", str(path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=120, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr

    async def work() -> None:
        from tests.unit.forks.killed import scene

        store = SqliteStore.open(path, desk())
        between = (await store.select("SELECT thread, record FROM controls ORDER BY seq")).rows
        assert between == (("b", "_fork"), ("b", "_close")), "it died between the two commits"
        workshop = Workshop(desk(), store)
        await scene(workshop)
        await workshop.settle()
        await workshop.settle()
        whole = Workshop(desk(), SqliteStore.open(tmp_path / "whole.db", desk()))
        await scene(whole)
        await whole.settle()
        one, other = await contents(store), await contents(whole.store)
        assert {name: rows for name, rows in one.items() if name != "commits"} == {
            name: rows for name, rows in other.items() if name != "commits"
        }
        assert (await reading.lineage(store, "a")).merged[0].events == 1
        await store.close()
        await whole.store.close()

    asyncio.run(work())
