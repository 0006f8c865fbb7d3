"""Goal: steps that run outside their turn become events by their answers, once, and by what they saw, on every
store. Method: one class of tests, inherited per adapter: requests and answers in every order that matters through whole
rounds, answers written by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import orjson
import pytest

from relmachine import Machine
from relmachine.algebra.identity import hash_of
from relmachine.kernel.answer import FOLLOW_UP_BYTES_MAX, FOLLOW_UPS_MAX, Reason
from relmachine.kernel.control import ANSWER
from relmachine.kernel.envelope import Envelope
from relmachine.kernel.limits import Limits
from relmachine.machine.canonical import canonical_text
from relmachine.store.outcomes import outcome_at
from relmachine.store.verify import verify
from tests.contract.store_place import StorePlace
from tests.unit.runs.incident import CONFIRM, Asked, decide, machine

Work = Callable[[Asked], Awaitable[None]]


class RunStore(StorePlace):
    """A shop on the store of the test."""

    def made(self) -> Machine:
        """The machine of the test."""
        return machine()

    def run(self, work: Work, limits: Limits | None = None) -> None:
        """Do `work` on threads of the incident machine; the store must verify afterwards."""

        async def test() -> None:
            plan = self.made().plan()
            store = await self.open(plan)
            try:
                await work(Asked(plan, store, limits=limits))
                report = await verify(store)
                assert report.ok, report.fault
            finally:
                await store.close()

        asyncio.run(test())


class RunContract(RunStore):
    def test_a_request_is_opened_and_its_answer_makes_it_an_event(self) -> None:
        async def work(shop: Asked) -> None:
            shop.step("t", "observe", symptom="slow")
            request = shop.step("t", "propose")
            shop.step("t", "note", noted=1)
            await decide(shop)
            assert (await outcome_at(shop.store, "t", request)) == {"outcome": "opened", "sequence": request}
            assert await shop.table("SELECT count(*) AS n FROM events") == [{"n": 2}]
            answer = shop.answer("t", request, follow_ups=(CONFIRM,))
            await decide(shop)
            outcome = await outcome_at(shop.store, "t", request)
            assert outcome is not None and (outcome["outcome"], outcome["sequence"]) == ("committed", answer)
            assert await outcome_at(shop.store, "t", answer) == outcome
            assert await shop.table("SELECT lifecycle FROM run_ends") == [{"lifecycle": "OPEN>ACTIVE>COMMIT>CLOSE"}]
            (row,) = await shop.table("SELECT body FROM outbox WHERE kind = 'step'")
            (proposed,) = orjson.loads(str(row["body"]))
            assert (proposed["type"], proposed["id"], proposed["hops"]) == (
                "confirm",
                f"{hash_of(outcome['event'])}/0",
                1,
            )

        self.run(work)

    def test_refused_requests_open_nothing(self) -> None:
        async def work(shop: Asked) -> None:
            early = shop.step("t", "propose")
            bad = shop.step("t", "propose", unknown=1)
            await decide(shop)
            for sequence, code in ((early, "requires"), (bad, "payload_invalid")):
                found = await outcome_at(shop.store, "t", sequence)
                assert found is not None and found["code"] == code
            assert await shop.table("SELECT lifecycle FROM rejections") == [{"lifecycle": ""}] * 2
            assert await shop.table("SELECT * FROM runs") == []

        self.run(work)

    @pytest.mark.parametrize("reason", [one for one in Reason if one not in (Reason.DONE, Reason.OVERTAKEN)])
    def test_every_other_reason_aborts_with_its_code(self, reason: Reason) -> None:
        codes = {
            Reason.CAP: "run_cap",
            Reason.FATAL: "run_failed",
            Reason.NO_PROGRESS: "run_stuck",
            Reason.CANCELLED: "run_cancelled",
            Reason.BUDGET: "budget_spent",
        }

        async def work(shop: Asked) -> None:
            shop.step("t", "observe", symptom="slow")
            request = shop.step("t", "propose")
            shop.answer("t", request, reason=reason)
            await decide(shop)
            found = await outcome_at(shop.store, "t", request)
            assert found is not None and (found["outcome"], found["code"]) == ("refused", codes[reason])
            rows = await shop.table("SELECT r.lifecycle, e.lifecycle AS ended FROM rejections r, run_ends e")
            assert rows == [{"lifecycle": "OPEN>ACTIVE>ABORT>CLOSE", "ended": "OPEN>ACTIVE>ABORT>CLOSE"}]

        self.run(work)

    def test_a_run_answers_once(self) -> None:
        async def work(shop: Asked) -> None:
            shop.step("t", "observe", symptom="slow")
            request = shop.step("t", "propose")
            first = shop.answer("t", request, key="one")
            again = shop.answer("t", request, key="one")
            other = shop.answer("t", request, contributions={"cause": '"net"'})
            never = shop.answer("t", 77)
            await decide(shop)
            assert await shop.table("SELECT value FROM contributions WHERE field = 'cause'") == [{"value": '"disk"'}]
            found = [await outcome_at(shop.store, "t", sequence) for sequence in (first, other, never)]
            assert [one and (one["outcome"], one.get("code")) for one in found] == [
                ("committed", None),
                ("refused", "run_unknown"),
                ("refused", "run_unknown"),
            ]
            assert await outcome_at(shop.store, "t", again) is None
            assert await shop.table("SELECT count(*) AS n FROM events WHERE step = 'propose'") == [{"n": 1}]

        self.run(work)

    def test_a_key_that_is_open_answers_for_itself(self) -> None:
        async def work(shop: Asked) -> None:
            shop.step("t", "observe", symptom="slow")
            request = shop.step("t", "propose", key="k")
            shop.step("t", "propose", key="k")
            conflict = shop.step("t", "note", key="k", noted=1)
            await decide(shop)
            found = await outcome_at(shop.store, "t", conflict)
            assert found is not None and found["code"] == "id_conflict"
            assert await shop.table("SELECT seq FROM runs") == [{"seq": request}]

        self.run(work)

    def test_what_it_saw_decides_whether_an_answer_counts(self) -> None:
        async def work(shop: Asked) -> None:
            shop.step("t", "observe", symptom="slow")
            request = shop.step("t", "propose")
            shop.step("t", "observe", symptom="slow")
            shop.answer("t", request)
            await decide(shop)
            found = await outcome_at(shop.store, "t", request)
            assert found is not None and found["outcome"] == "committed"

            second = shop.step("u", "observe", symptom="slow")
            request = shop.step("u", "propose")
            shop.step("u", "observe", symptom="loud")
            late = shop.answer("u", request)
            await decide(shop, "u")
            assert second and (await outcome_at(shop.store, "u", request)) == {"outcome": "opened", "sequence": request}
            attempts = await shop.table("SELECT attempt, at_seq FROM run_attempts WHERE thread = 'u' ORDER BY attempt")
            assert attempts == [{"attempt": 1, "at_seq": request}, {"attempt": 2, "at_seq": late}]
            shop.answer("u", request)
            answer = shop.answer("u", request, attempt=2)
            await decide(shop, "u")
            found = await outcome_at(shop.store, "u", request)
            assert found is not None and (found["outcome"], found["sequence"]) == ("committed", answer)

        self.run(work)

    def test_a_run_is_overtaken_so_often_and_no_more(self) -> None:
        async def work(shop: Asked) -> None:
            shop.step("t", "observe", symptom="0")
            request = shop.step("t", "propose")
            for attempt in (1, 2):
                shop.step("t", "observe", symptom=str(attempt))
                shop.answer("t", request, attempt=attempt)
            await decide(shop)
            found = await outcome_at(shop.store, "t", request)
            assert found is not None and found["code"] == "run_overtaken"

        self.run(work, Limits(run_attempts_max=2))

    @pytest.mark.parametrize(
        ("said", "code"),
        [
            ({"contributions": {"noted": "1"}}, "output_invalid"),
            ({"contributions": {"cause": "1"}}, "output_invalid"),
            ({"contributions": {"cause": ' "disk"'}}, "output_invalid"),
            ({"follow_ups": ({"step": "retract"},)}, "output_invalid"),
        ],
    )
    def test_an_answer_says_what_its_step_may_say(self, said: dict[str, object], code: str) -> None:
        async def work(shop: Asked) -> None:
            shop.step("t", "observe", symptom="slow")
            request = shop.step("t", "propose")
            shop.answer("t", request, **said)
            await decide(shop)
            found = await outcome_at(shop.store, "t", request)
            assert found is not None and found["code"] == code
            assert await shop.table("SELECT * FROM events WHERE step = 'propose'") == []

        self.run(work)

    @pytest.mark.parametrize(
        "said",
        [
            {"follow_ups": [{"step": "confirm", "data": "[]"}]},
            {"follow_ups": [{"step": "confirm", "data": "{"}]},
            {"follow_ups": [{"step": "confirm", "data": '{"a":' + "[" * 300 + "]" * 300 + "}"}]},
            {"follow_ups": [{"step": "confirm", "data": '{"a":"' + "x" * FOLLOW_UP_BYTES_MAX + '"}'}]},
            {"follow_ups": [{"step": "confirm", "data": '{"a":1e400}'}]},
            {"follow_ups": [{"step": "confirm"}] * (FOLLOW_UPS_MAX + 1)},
            {"reason": "fatal", "failure": {"code": "tool_failed", "sentence": "away", "witness": "no json"}},
            {"passes": [{"number": 1, "decision": "answer", "state": "0" * 64}] * 2},
        ],
    )
    def test_texts_that_nobody_could_read_later_are_refused_at_once(self, said: dict[str, object]) -> None:
        """The thread goes on, and the run answers for itself."""

        async def work(shop: Asked) -> None:
            shop.step("t", "observe", symptom="slow")
            request = shop.step("t", "propose")
            data = {"request": request, "attempt": 1, "reason": "done", "plan": shop.frozen(request), **said}
            bad = shop.stream.publish("t", ANSWER, Envelope(id="bad", source="relm:run", type=ANSWER, data=data).wire())
            good = shop.answer("t", request)
            await decide(shop)
            no, found = [await outcome_at(shop.store, "t", sequence) for sequence in (bad, good)]
            assert no is not None and (no["gate"], no["code"]) == ("shape", "payload_invalid")
            assert found is not None and found["outcome"] == "committed"

        self.run(work)

    @pytest.mark.parametrize("reason", [Reason.DONE, Reason.FATAL, Reason.OVERTAKEN])
    @pytest.mark.parametrize("other", ["seed", "step", "machine", "laws_digest"])
    def test_an_answer_by_the_plan_of_another_step_is_none(self, other: str, reason: Reason) -> None:
        async def work(shop: Asked) -> None:
            shop.step("t", "observe", symptom="slow")
            request = shop.step("t", "propose")
            plan = orjson.loads(shop.frozen(request))
            plan[other] = plan[other] + 1 if other == "seed" else "another"
            answer = shop.answer("t", request, reason=reason, plan=canonical_text(plan))
            await decide(shop)
            found = await outcome_at(shop.store, "t", answer)
            assert found is not None and found["code"] == "run_unknown"
            assert await outcome_at(shop.store, "t", request) == {"outcome": "opened", "sequence": request}
            good = shop.answer("t", request)
            await decide(shop)
            found = await outcome_at(shop.store, "t", good)
            assert found is not None and found["outcome"] == "committed"

        self.run(work)

    @pytest.mark.parametrize("reason", [Reason.DONE, Reason.FATAL])
    def test_an_answer_counts_by_the_plan_it_went_by(self, reason: Reason) -> None:
        """A node that opens the run again, from the stream, may have another model bound since."""

        async def work(shop: Asked) -> None:
            shop.step("t", "observe", symptom="slow")
            request = shop.step("t", "propose")
            plan = canonical_text({**orjson.loads(shop.frozen(request)), "model": "another"})
            answer = shop.answer("t", request, reason=reason, plan=plan)
            await decide(shop)
            found = await outcome_at(shop.store, "t", answer)
            assert found is not None and found["outcome"] == ("committed" if reason is Reason.DONE else "refused")
            plans = await shop.table(
                """SELECT r.frozen_digest = f.frozen_digest AS opened, f.content FROM runs r
                JOIN run_answers a ON a.thread = r.thread AND a.seq = r.seq
                JOIN frozen_plans f ON f.frozen_digest = a.frozen_digest"""
            )
            assert plans == [{"opened": 0, "content": plan}]

        self.run(work)

    @pytest.mark.parametrize("reason", [Reason.DONE, Reason.OVERTAKEN])
    def test_a_step_that_a_merge_brought_is_not_done_twice(self, reason: Reason) -> None:
        """What runs here was an event there: the key would have two in one history."""

        async def work(shop: Asked) -> None:
            first = shop.step("t", "observe", symptom="slow")
            await shop.settle()
            head = await shop.head("t")
            shop.fork("u", "t", head, first)
            shop.step("u", "note", key="both", noted=1)
            request = shop.step("t", "propose", key="both")
            await shop.settle()
            shop.merge("t", "u")
            await shop.settle()
            answer = shop.answer("t", request, reason=reason)
            await shop.settle()
            found = await outcome_at(shop.store, "t", request)
            assert found is not None and (found["code"], found["sequence"]) == ("id_conflict", answer)
            assert await shop.table("SELECT step FROM events WHERE step_key LIKE '%both%'") == [{"step": "note"}]

        self.run(work)

    @pytest.mark.parametrize(
        ("following", "left"), [(1024, [511, 511]), (5, [1, 1]), (2, [0, 0]), (1, None), (0, None)]
    )
    def test_so_many_steps_follow_from_one(self, following: int, left: list[int] | None) -> None:
        async def work(shop: Asked) -> None:
            shop.step("t", "observe", symptom="slow")
            body = Envelope(id="1", source="test", type="propose", following=following).wire()
            request = shop.stream.publish("t", "propose", body)
            shop.answer("t", request, follow_ups=(CONFIRM, CONFIRM))
            await decide(shop)
            found = await outcome_at(shop.store, "t", request)
            assert found is not None and found.get("code") == (None if left else "limit_exceeded")
            rows = await shop.table("SELECT body FROM outbox WHERE kind = 'step'")
            assert [one["following"] for row in rows for one in orjson.loads(str(row["body"]))] == (left or [])

        self.run(work)

    def test_the_laws_decide_at_the_end_again(self) -> None:
        async def work(shop: Asked) -> None:
            shop.step("t", "observe", symptom="slow")
            one, other = shop.step("t", "propose"), shop.step("t", "propose")
            shop.answer("t", one)
            shop.answer("t", other, contributions={"cause": '"net"'})
            await decide(shop)
            found = await outcome_at(shop.store, "t", other)
            assert found is not None and (found["gate"], found["code"]) == ("laws", "once")

            shop.step("u", "observe", symptom="slow")
            request = shop.step("u", "propose")
            shop.step("u", "retract")
            shop.answer("u", request)
            await decide(shop, "u")
            assert await shop.table("SELECT max(attempt) AS n FROM run_attempts WHERE thread = 'u'") == [{"n": 2}]
            shop.answer("u", request, attempt=2)
            await decide(shop, "u")
            found = await outcome_at(shop.store, "u", request)
            assert found is not None and (found["gate"], found["code"]) == ("laws", "requires")

        self.run(work)

    def test_so_many_runs_of_a_thread_may_be_open(self) -> None:
        async def work(shop: Asked) -> None:
            shop.step("t", "observe", symptom="slow")
            first = shop.step("t", "propose")
            crowded = shop.step("t", "propose")
            await decide(shop)
            found = await outcome_at(shop.store, "t", crowded)
            assert found is not None and found["code"] == "limit_exceeded"
            shop.answer("t", first)
            later = shop.step("t", "propose")
            await decide(shop)
            assert (await outcome_at(shop.store, "t", later)) == {"outcome": "opened", "sequence": later}

        self.run(work, Limits(runs_open_per_thread_max=1))
