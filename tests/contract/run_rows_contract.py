"""Goal: every store reads runs as they were written, and keeps them from whoever goes round the code. Method: one class
of tests, inherited per adapter: a store with every kind of row, each reading of it, and statements that must fail."""

from __future__ import annotations

import asyncio

from relmachine.kernel.answer import Answer, Reason
from relmachine.store.answers import answer_at
from relmachine.store.port import Draft
from relmachine.store.runs import Runs
from tests.contract.run_contract import RunStore
from tests.unit.runs.filled_store import DECISIONS, PASSES, fill
from tests.unit.runs.incident import CONFIRM, Asked, decide

TABLES = (
    "frozen_plans",
    "runs",
    "run_attempts",
    "run_answers",
    "run_ends",
    "decisions",
    "iterations",
)

_CHANGES = [
    statement
    for table, column in {
        "runs": "step",
        "run_attempts": "view",
        "run_answers": "said",
        "run_ends": "outcome",
        "decisions": "value",
        "iterations": "output",
        "frozen_plans": "content",
    }.items()
    for statement in (f"UPDATE {table} SET {column} = 'x'", f"DELETE FROM {table}")
]
_ONCE_MORE = [
    "INSERT OR REPLACE INTO runs SELECT thread, seq, step, 'x', payload, payload_digest, frozen_digest, evidence"
    " FROM runs",
    "INSERT INTO runs SELECT thread, seq + 99, step, step_key, payload, payload_digest, frozen_digest, evidence"
    " FROM runs",
    "INSERT OR REPLACE INTO run_attempts SELECT thread, seq, attempt, at_seq, 'x' FROM run_attempts",
    "INSERT INTO run_attempts SELECT thread, seq, attempt + 9, at_seq, view FROM run_attempts",
    "INSERT OR REPLACE INTO run_answers SELECT thread, seq, attempt, at_seq, 'fatal', frozen_digest, said"
    " FROM run_answers",
    "INSERT INTO run_answers SELECT thread, seq, attempt + 9, at_seq + 99, reason, frozen_digest, said"
    " FROM run_answers",
    "INSERT OR REPLACE INTO run_ends SELECT thread, seq, at_seq, lifecycle, 'x' FROM run_ends",
    "INSERT INTO run_ends SELECT thread, seq + 99, at_seq, lifecycle, outcome FROM run_ends",
    "INSERT OR REPLACE INTO decisions SELECT thread, seq, attempt, place, kind, name, asked, 'x', error, tokens, cost,"
    " seal FROM decisions",
    "INSERT INTO decisions SELECT thread, seq, attempt, place + 99, kind, name, asked, value, error, tokens, cost, seal"
    " FROM decisions",
    "INSERT INTO runs_open SELECT thread, seq FROM run_ends",
    "INSERT INTO runs_open SELECT thread, seq + 99 FROM runs",
    "DELETE FROM runs_open",
    "UPDATE runs_open SET seq = seq + 1",
    "INSERT INTO iterations SELECT thread, seq, attempt, number + 99, decision, tool, input, output, error, state"
    " FROM iterations",
]


class RunRowsContract(RunStore):
    def test_readings_give_what_was_written(self) -> None:
        async def work(shop: Asked) -> None:
            await fill(shop)
            asked = Runs(shop.store.deciding)
            done, overtaken, failed, left, refused = (
                int(str(row["seq"])) for row in await shop.table("SELECT seq FROM runs WHERE thread = 'a' ORDER BY seq")
            )
            every = (done, overtaken, failed, left, refused)
            standing = await asked.standing([("a", seq) for seq in (*every, 77)])
            assert [standing["a", seq].open.attempt for seq in every] == [1, 2, 1, 1, 2]
            assert [seq for seq in every if standing["a", seq].ended_at is None] == [left, refused]
            assert ("a", 77) not in standing and await asked.standing([]) == {}

            found = await asked.open(9)
            places = [(run.candidate.thread, run.candidate.sequence) for run in found]
            assert places[:2] == [("a", left), ("a", refused)] and [thread for thread, _ in places[2:]] == ["b", "b"]
            assert await asked.open(1) == found[:1]
            assert await asked.open(9, ("a", left)) == found[1:]
            assert await asked.awake(9) == places
            assert await asked.awake(1, places[0]) == places[1:2]
            assert await asked.open_count(["a", "b", "none"]) == {"a": 2, "b": 2}
            first = found[0]
            assert await asked.drafts(first) == [DECISIONS[0]]
            assert '"seed":' in await asked.frozen(first.frozen_digest)

            again = await shop.table("SELECT at_seq FROM run_attempts WHERE thread = 'a' AND attempt = 2")
            (begun,) = await asked.begun_at("a", int(str(again[0]["at_seq"])))
            assert (begun.candidate.sequence, begun.attempt) == (overtaken, 2)
            assert await asked.begun_at("a", 77) == []

            answered_at = standing["a", done].ended_at
            assert answered_at is not None
            assert await answer_at(shop.store, "a", answered_at) == Answer(
                request=done,
                attempt=1,
                reason=Reason.DONE,
                contributions={"cause": '"disk"'},
                follow_ups=(CONFIRM,),
                decisions=DECISIONS,
                passes=PASSES,
                plan=shop.frozen(done),
            )
            assert await answer_at(shop.store, "a", done) is None

        self.run(work)

    def test_drafts_are_kept_once_in_order_and_until_the_answer(self) -> None:
        async def work(shop: Asked) -> None:
            shop.step("t", "observe", symptom="slow")
            request = shop.step("t", "propose")
            await decide(shop)
            texts = [one.model_dump_json() for one in DECISIONS]

            async def keep(place: int, text: str, attempt: int = 1) -> None:
                await shop.store.keep_draft(Draft("t", request, attempt, place, text))

            asked = Runs(shop.store.deciding)
            (run,) = await asked.open(9)
            await keep(0, texts[0])
            await keep(0, texts[1])
            await keep(1, texts[1])
            await keep(0, texts[0], attempt=2)
            assert await asked.drafts(run) == list(DECISIONS[:2])
            shop.answer("t", request)
            await decide(shop)
            await keep(2, texts[2])
            assert await shop.table("SELECT * FROM run_drafts") == []

        self.run(work)

    def test_somebody_who_goes_round_the_code_cannot_change_runs(self) -> None:
        async def work(shop: Asked) -> None:
            await fill(shop)
            before = {table: await shop.table(f"SELECT * FROM {table}") for table in TABLES}
            assert all(before.values()), "a table without rows guards nothing"
            for statement in (*_CHANGES, *_ONCE_MORE):
                assert await asyncio.to_thread(self.raw, statement), statement
            assert {table: await shop.table(f"SELECT * FROM {table}") for table in TABLES} == before

        self.run(work)
