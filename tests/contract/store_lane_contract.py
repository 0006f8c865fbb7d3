"""Goal: what a thread is told takes effect once, where it stands, and no commit changes a stopped thread's history.
Method: tests that every store adapter inherits; some go round the code."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import orjson
import pytest

from relmachine.kernel.lane import Asked, Budget, Effect
from relmachine.kernel.state import dump_state, initial_state
from relmachine.store import lane
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


async def one(store: Store, asked: Asked) -> Effect:
    (effect,) = await store.control([asked])
    return effect


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
            assert await lane.first_of_key(store, "a", first.step_key) == (True, effect)
            assert (await store.states(["a"]))["a"].epoch == 1
            assert (await verify(store)).fault is None

        self.run(test)

    def test_a_refused_record_changes_nothing_and_is_kept(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            refusal = orjson.dumps({"code": "policy_denied", "gate": "policy", "sentence": "", "witness": {}}).decode()
            effect = await one(store, told(made, "a", 7, "cancel", refusal=refusal, reason="enough"))
            assert (effect.outcome, effect.refusal, effect.at_seq) == ("refused", refusal, 0)
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
            assert await lane.budget_of(store, "a") == (Budget(tokens=5), made.states["a"].cursor, 9)
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

    def test_cancelling_ends_a_pause_and_a_run_is_no_thread(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            await store.commit([made.opening("a")])
            run = await one(store, told(made, "a", 4, "cancel", reason="this run", request=2))
            assert (run.outcome, run.epoch) == ("applied", 0)
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
            assert self.raw("UPDATE threads SET fenced = 1") == ""
            report = await verify(store)
            assert report.fault is not None
            assert report.fault.differs == "threads.fenced"

        self.run(test)
