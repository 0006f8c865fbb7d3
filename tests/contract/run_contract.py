"""Goal: steps that run outside their turn become events by their answers, once, and by what they saw, on every
store. Method: one class of tests, inherited per adapter: requests and answers in every order that matters through whole
rounds, answers written by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import orjson
import pytest

from relmachine.kernel.answer import Reason
from relmachine.kernel.limits import Limits
from relmachine.machine.plan import Plan
from relmachine.store.outcomes import outcome_at
from relmachine.store.port import Store
from relmachine.store.verify import verify
from tests.unit.runs.incident import CONFIRM, Asked, decide, machine

Work = Callable[[Asked], Awaitable[None]]


class RunStore:
    """Adapters say how a store is opened and how somebody writes to it who goes round the code."""

    def open(self, plan: Plan) -> Awaitable[Store]:
        """Open the one store of the test."""
        raise NotImplementedError

    def raw(self, statement: str) -> str:
        """Run `statement` beside the code; returns the error's text, empty when it went through."""
        raise NotImplementedError

    def run(self, work: Work, limits: Limits | None = None) -> None:
        """Do `work` on threads of the incident machine; the store must verify afterwards."""

        async def test() -> None:
            plan = machine().plan()
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
            assert (proposed["type"], proposed["id"], proposed["hops"]) == ("confirm", f"{outcome['event']}/0", 1)

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
            ({"follow_ups": ({"step": "confirm", "data": "[]"},)}, "output_invalid"),
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
