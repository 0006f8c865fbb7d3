"""Goal: what a thread is told takes effect once, where it stands, and no commit changes a stopped thread's history.
Method: tests that every store adapter inherits; some go round the code."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import permutations

import orjson
import pytest

from relmachine.kernel.lane import Asked, Effect, Foretold, SetBudget
from relmachine.kernel.state import dump_state, initial_state
from relmachine.store import foretelling, lane, lane_taking
from relmachine.store.port import Committed, Stale, Store
from relmachine.store.verify import verify
from tests.contract.store_contract import StoreContract, counts
from tests.contract.store_turns import Desk


def told(
    made: Desk, thread: str, sequence: int, record: str, key: str = "", refusal: str = "", **data: object
) -> Asked:
    """A lane record as the gates leave it."""
    state = initial_state(made.plan, thread)
    text = orjson.dumps(data).decode()
    evidence = '{"principal":"operator"}'
    name = key or f'["lane","{sequence}"]'
    return Asked(thread, sequence, record, name, text, evidence, refusal, thread, state.head, dump_state(state))


def foretold(made: Desk, place: int, record: str, at_seq: int, data: dict[str, object]) -> Foretold:
    """An effect of an earlier store."""
    state = initial_state(made.plan, "a")
    words = (f'["lane","{place}"]', at_seq, orjson.dumps(data).decode(), "{}", "applied", "")
    return Foretold("a", place, 100 + place, record, *words, True, "a", state.head, dump_state(state))


async def one(store: Store, asked: Asked) -> Effect:
    (effect,) = await store.control([asked])
    return effect


NO = orjson.dumps({"code": "policy_denied", "gate": "policy", "sentence": "", "witness": {}}).decode()
LOOK: dict[str, object] = {"reason": "look"}
SAID: list[list[tuple[str, str, str, dict[str, object]]]] = [
    [("resume", "", "", {}), ("pause", "", "", LOOK), ("pause", "", NO, LOOK)],
    [("pause", "", "", LOOK), ("resume", "", "", {}), ("resume", "", NO, {})],
    [("budget", "", "", {"tokens": 1}), ("budget", "", "", {"tokens": 2}), ("budget", "", NO, {"tokens": 3})],
    [("pause", "k", "", LOOK), ("resume", "", "", {}), ("pause", "k", "", LOOK)],
    [("pause", "k", "", LOOK), ("resume", "", "", {}), ("pause", "k", "", {"reason": "another"})],
    [("budget", "k", "", {"tokens": 1}), ("budget", "", "", {"tokens": 2}), ("budget", "k", "", {"tokens": 1})],
    [("pause", "", "", LOOK), ("resume", "", "", {}), ("pause", "", "", LOOK), ("resume", "", "", {})],
    [("resume", "", "", {}), ("pause", "", "", LOOK), ("pause", "", "", LOOK), ("pause", "", NO, LOOK)],
    [("pause", "", "", LOOK), ("close", "", "", LOOK), ("resume", "", "", {}), ("cancel", "", "", LOOK)],
]
"""What a thread is told, in the order of the stream: record, key, refusal, data."""


def arrivals(words: Sequence[tuple[str, str, str, dict[str, object]]]) -> Iterator[tuple[int, ...]]:
    """Every order in which records can come, that of the stream first. Of two under one key the first that comes is
    the one that counts, so these come as they were said."""
    keyed = [place for place, (_, key, *_) in enumerate(words) if key]
    return (order for order in permutations(range(len(words))) if [place for place in order if place in keyed] == keyed)


class LaneContract(StoreContract):
    def test_a_cancelled_thread_keeps_its_history_and_answers_its_steps(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            await store.commit([made.opening("a"), made.opening("b")])
            here = made.states["a"]
            effect = await one(store, told(made, "a", 7, "cancel", reason="enough"))
            assert (effect.outcome, effect.at_seq, effect.at_head) == ("applied", here.cursor, here.head)
            assert effect.epoch == here.epoch + 1
            assert await store.commit([made.notes("a", 1)]) == [Stale("a")], "its turn began before"
            loaded = (await store.states(["a"]))["a"]
            assert (loaded.stopped, loaded.epoch, loaded.head) == ("cancel", 1, here.head)
            made.states["a"] = loaded
            refused = made.turn("a", made.steps.failed("a", "note", "cancelled"))
            assert await store.commit([refused, made.notes("b", 1)]) == [Committed("a"), Committed("b")]
            assert (await store.states(["b"]))["b"].stopped == ""
            assert await lane.stopped(store, "a") == "cancel"
            report = await verify(store)
            assert report.fault is None, report.fault

        self.run(test)

    def test_no_commit_that_changes_a_stopped_history_whoever_tries(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            await store.commit([made.opening("a"), made.opening("c")])
            await one(store, told(made, "a", 7, "cancel", reason="enough"))
            await one(store, told(made, "c", 8, "close", reason="done"))
            before = await counts(store)
            for thread in ("a", "c"):
                where = f"FROM threads WHERE thread = '{thread}'"
                assert self.raw(f"INSERT INTO commits SELECT thread, head, seq, epoch, 'y', 99 {where}") == "cancelled"
                assert self.raw(f"INSERT INTO commits SELECT thread, head, seq, 0, head, 99 {where}") == "stale"
            with pytest.raises(Exception, match=r"internal"):
                made.states["a"] = replace(made.states["a"], epoch=1)
                await store.commit([made.notes("a", 1)])
            assert await counts(store) == before

        self.run(test)

    def test_a_record_takes_effect_once(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            await store.commit([made.opening("a")])
            first = told(made, "a", 7, "cancel", reason="enough")
            effect = await one(store, first)
            assert await one(store, first) == effect, "redelivered"
            again = await one(store, told(made, "a", 9, "cancel", first.step_key, reason="enough"))
            assert (again.outcome, again.epoch) == ("repeated", 1)
            other = await one(store, told(made, "a", 10, "cancel", first.step_key, reason="another"))
            assert (other.outcome, orjson.loads(other.refusal)["code"]) == ("refused", "id_conflict")
            second = await one(store, told(made, "a", 11, "cancel", reason="really"))
            assert (second.outcome, second.epoch) == ("unchanged", 1)
            assert await lane.first_of_key(store, "a", first.step_key) == (True, 4, effect)
            assert (await store.states(["a"]))["a"].epoch == 1
            assert (await verify(store)).fault is None

        self.run(test)

    def test_a_refused_record_changes_nothing_and_is_kept(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            effect = await one(store, told(made, "a", 7, "cancel", refusal=NO, reason="enough"))
            assert (effect.outcome, effect.refusal, effect.at_seq) == ("refused", NO, 0)
            assert (await store.select("SELECT count(*) FROM threads")).rows == ((0,),)
            assert await store.commit([made.opening("a")]) == [Committed("a")]
            assert (await verify(store)).fault is None

        self.run(test)

    def test_a_paused_thread_takes_nothing_until_it_is_resumed(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            await store.commit([made.opening("a")])
            turn = made.notes("a", 1)
            assert (await one(store, told(made, "a", 5, "pause", reason="look"))).outcome == "applied"
            assert (await one(store, told(made, "a", 6, "pause", reason="again"))).outcome == "unchanged"
            assert await store.commit([turn]) == [Stale("a")]
            assert (await store.states(["a"]))["a"].paused
            assert (await one(store, told(made, "a", 7, "resume"))).outcome == "applied"
            assert (await one(store, told(made, "a", 8, "resume"))).outcome == "unchanged"
            assert await store.commit([turn]) == [Committed("a")]
            assert (await verify(store)).fault is None

        self.run(test)

    def test_the_later_word_stays_whatever_the_order_of_arrival(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            await store.commit([made.opening("a")])
            assert (await one(store, told(made, "a", 6, "resume"))).outcome == "unchanged"
            assert (await one(store, told(made, "a", 5, "pause", reason="late"))).outcome == "unchanged"
            assert not (await store.states(["a"]))["a"].paused
            assert (await one(store, told(made, "a", 9, "budget", tokens=5))).outcome == "applied"
            assert (await one(store, told(made, "a", 8, "budget", tokens=7))).outcome == "unchanged"
            assert await lane.budget_of(store, "a") == (SetBudget(tokens=5), made.states["a"].cursor, 9)
            assert (await verify(store)).fault is None

        self.run(test)

    def test_every_order_of_arrival_leaves_a_thread_as_that_of_the_stream(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            for number, words in enumerate(SAID):
                stood: list[tuple[object, object]] = []
                for order in arrivals(words):
                    name = f"said {number} {order}"
                    said = [
                        told(made, name, place + 1, record, key, refusal, **data)
                        for place, (record, key, refusal, data) in enumerate(words)
                    ]
                    await store.control([said[place] for place in order])
                    budget = await lane.budget_of(store, name)
                    stood.append((await lane.standing(store, name), budget and budget[0]))
                    assert stood[-1] == stood[0], (words, order)
            assert (await verify(store)).fault is None

        self.run(test)

    @pytest.mark.parametrize("record", ["cancel", "close", "pause"])
    def test_a_thread_that_nothing_was_decided_on_can_be_told(self, record: str) -> None:
        async def test(store: Store, made: Desk) -> None:
            effect = await one(store, told(made, "new", 3, record, reason="early"))
            assert (effect.outcome, effect.at_seq) == ("applied", 0)
            assert effect.at_head == initial_state(made.plan, "new").head
            assert await store.commit([made.opening("new")]) == [Stale("new")]
            state = (await store.states(["new"]))["new"]
            assert (state.stopped, state.paused) == ("" if record == "pause" else record, record == "pause")
            made.states["new"] = state
            refused = made.turn("new", made.steps.failed("new", "note", "stopped"))
            wanted = Stale("new") if record == "pause" else Committed("new")
            assert await store.commit([refused]) == [wanted]
            assert (await verify(store)).fault is None

        self.run(test)

    def test_cancelling_ends_a_pause_and_no_run_is_there_to_be_cancelled(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            await store.commit([made.opening("a")])
            run = await one(store, told(made, "a", 4, "cancel", reason="this run", request=2))
            assert (run.outcome, run.epoch) == ("unchanged", 0)
            assert await store.commit([made.notes("a", 1)]) == [Committed("a")]
            await one(store, told(made, "a", 5, "pause", reason="look"))
            await one(store, told(made, "a", 6, "cancel", reason="enough"))
            state = (await store.states(["a"]))["a"]
            assert (state.paused, state.stopped) == (False, "cancel")
            words: dict[str, dict[str, object]] = {
                "pause": {"reason": "?"},
                "resume": {},
                "close": {"reason": "?"},
                "budget": {"tokens": 1},
            }
            for place, (record, data) in enumerate(words.items(), 7):
                assert (await one(store, told(made, "a", place, record, **data))).outcome == "unchanged", record
            assert (await verify(store)).fault is None

        self.run(test)

    def test_so_many_effects_of_a_thread_are_kept_and_it_can_be_stopped_still(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        few = lane_taking.TAKE.replace(f"< {lane_taking.EFFECTS_PER_THREAD_MAX}", "< 3")
        assert few != lane_taking.TAKE
        for adapter in ("relmachine.store.sqlite_lane", "relmachine.store.rqlite.lane"):
            monkeypatch.setattr(f"{adapter}.TAKE", few)

        async def test(store: Store, made: Desk) -> None:
            await store.commit([made.opening("a")])
            for place in (1, 2):
                assert (await one(store, told(made, "a", place, "budget", tokens=place))).outcome == "applied"
            assert (await one(store, told(made, "a", 3, "pause", reason="look"))).outcome == "applied"
            assert list(await store.control([told(made, "a", 4, "budget", tokens=9)])) == [], "no trace"
            assert list(await store.control([told(made, "a", 5, "pause", reason="look")])) == [], "no trace"
            words = [("cancel", "{}"), ("close", "{}"), ("resume", "{}"), ("cancel", '{"request":2}'), ("budget", "{}")]
            still = [await lane_taking.takes_hold(store, "a", *word) for word in words]
            assert still == [True, True, True, False, False]
            assert (await one(store, told(made, "a", 6, "resume"))).outcome == "applied"
            assert (await one(store, told(made, "a", 7, "cancel", reason="enough"))).outcome == "applied"
            assert list(await store.control([told(made, "a", 8, "cancel", reason="enough")])) == [], "no trace"
            assert not any([await lane_taking.takes_hold(store, "a", *word) for word in words])
            assert (await verify(store)).fault is None

        self.run(test)

    def test_effects_and_commits_race_and_nothing_comes_after_the_fence(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            names = [f"t{number}" for number in range(12)]
            await store.commit([made.opening(name) for name in names])
            turns = [made.notes(name, 2) for name in names]
            records = [told(made, name, 100 + place, "cancel", reason="x") for place, name in enumerate(names)]
            answers = await asyncio.gather(
                *(store.commit([turn]) for turn in turns), *(store.control([record]) for record in records)
            )
            assert {type(answer[0]) for answer in answers[:12]} <= {Committed, Stale}
            after = """SELECT count(*) FROM control_effects e JOIN thread_events te
                ON te.thread = e.thread AND te.seq > e.at_seq"""
            assert (await store.select(after)).rows == ((0,),)
            assert (await verify(store)).fault is None

        self.run(test)

    def test_the_feed_is_told_in_the_same_transaction(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            await store.commit([made.opening("a")])
            effect = await one(store, told(made, "a", 7, "cancel", reason="enough"))
            (row,) = [row for row in await store.unsent(10) if row.kind == "effect"]
            body = orjson.loads(row.body)
            assert (row.thread, row.seq, body["thread"]) == ("a", 1, "a")
            assert body["control"] == {
                "sequence": 7,
                "record": "cancel",
                "key": effect.step_key,
                "outcome": "applied",
                "at_sequence": effect.at_seq,
                "at_history": effect.at_head,
                "epoch": 1,
                "payload": {"reason": "enough"},
                "evidence": {"principal": "operator"},
                "refusal": None,
            }
            await store.commit((), [row])
            assert [row.kind for row in await store.unsent(10) if row.kind == "effect"] == []
            assert (await verify(store)).fault is None

        self.run(test)

    def test_what_is_foretold_takes_hold_where_its_thread_comes_to(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            opening = made.opening("a")
            words: list[tuple[str, int, dict[str, object]]] = [
                ("budget", 0, {"tokens": 5}),
                ("pause", opening.after.cursor, {"reason": "look"}),
                ("cancel", opening.after.cursor, {"reason": "this run", "request": 1}),
                ("cancel", opening.after.cursor, {"reason": "this one", "request": 2}),
                ("resume", opening.after.cursor, {}),
            ]
            told_before = [foretold(made, place, *word) for place, word in enumerate(words, 1)]
            assert not await foretelling.has_moved(store)
            for _ in range(2):
                await store.foretell(told_before)
            assert (await store.states(["a"]))["a"].until == opening.after.cursor
            assert await foretelling.ahead(store, ["a"]) == {("a", 100 + place) for place in range(2, 6)}
            assert list(await store.control([told(made, "a", 900, "close", reason="anew")])) == [], "it waits"
            assert await store.commit([opening]) == [Committed("a")]
            effects = list(reversed(await lane.effects(store, "a", 10)))
            assert [(one.record, one.at_seq, one.epoch) for one in effects] == [
                (record, at_seq, max(0, min(place - 2, 2))) for place, (record, at_seq, _) in enumerate(words, 1)
            ]
            state = (await store.states(["a"]))["a"]
            assert (state.until, state.paused, state.epoch) == (0, False, 2)
            await store.foretell(told_before)
            assert await foretelling.ahead(store, ["a"]) == set()
            assert await foretelling.has_moved(store)
            assert (await one(store, told(made, "a", 900, "close", reason="anew"))).outcome == "applied"
            assert (await verify(store)).fault is None

        self.run(test)

    def test_what_two_stores_told_takes_hold_once(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            opening = made.opening("a")
            here = opening.after.cursor
            pause, resume = foretold(made, 1, "pause", here, LOOK), foretold(made, 2, "resume", here, {})
            again = [pause._replace(place=3), resume._replace(place=4, at_seq=0)]
            await store.foretell([pause, resume, *again])
            await store.foretell(again)
            assert await foretelling.ahead(store, ["a"]) == {("a", 101), ("a", 102)}
            assert await store.commit([opening]) == [Committed("a")]
            assert await foretelling.ahead(store, ["a"]) == set()
            assert [one.control_seq for one in await lane.effects(store, "a", 10)] == [102, 101]
            assert (await verify(store)).fault is None

        self.run(test)

    def test_a_later_word_that_another_store_had_earlier_blocks_nothing(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            opening = made.opening("a")
            pause, resume = foretold(made, 1, "pause", opening.after.cursor, LOOK), foretold(made, 2, "resume", 0, {})
            await store.foretell([pause, resume])
            assert await store.commit([opening]) == [Committed("a")]
            assert await lane.standing(store, "a") == "open"
            assert (await verify(store)).fault is None

        self.run(test)

    def test_effects_are_guarded_against_those_who_go_round_the_code(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            await store.commit([made.opening("a")])
            await one(store, told(made, "a", 7, "cancel", reason="enough"))
            assert "write_once" in self.raw("UPDATE control_effects SET outcome = 'unchanged'")
            assert "write_once" in self.raw("DELETE FROM control_effects")
            again = "SELECT thread, 7, 'pause', '', seq, head, epoch, '{}', '{}', 'unchanged', '' FROM threads"
            assert "write_once" in self.raw(f"INSERT OR REPLACE INTO control_effects {again}")
            elsewhere = "INSERT INTO control_effects VALUES ('a', 8, 'pause', '', 0, 'x', 1, '{}', '{}', 'applied', '')"
            assert self.raw(elsewhere) == "an effect is of where its thread stands"
            assert self.raw("INSERT INTO outbox VALUES ('a', 99, 'effect', '{}')") == "missing: control_effects"
            assert self.raw("UPDATE threads SET epoch = 0") == "an epoch never falls"
            report = await verify(store)
            assert report.fault is None, report.fault
            assert "by what it is told" in self.raw("UPDATE threads SET fenced = 1")
            assert "by what it is told" in self.raw("UPDATE threads SET epoch = 2")

        self.run(test)
