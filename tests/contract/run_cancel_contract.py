"""Goal: a run that was told to end never becomes an event, whoever answers for it, and whenever it was told. Method:
tests that every store adapter inherits: the answer is on the stream before or after the cancel, the cancel comes before
the request is opened or in the middle of the answer's turn, and somebody goes round the code."""

from __future__ import annotations

import orjson
import pytest

from relmachine.kernel.answer import Reason
from relmachine.kernel.lane import Asked as Told
from relmachine.kernel.lane import Effect
from relmachine.kernel.state import dump_state, initial_state
from relmachine.store.outcomes import outcome_at
from relmachine.store.runs import Runs
from tests.contract.run_contract import RunStore
from tests.unit.runs.incident import Asked, decide


async def cancel(shop: Asked, request: int | None, sequence: int = 900, *, astray: bool = False) -> Effect:
    """Tell thread `t` on the control lane that the run of the step at `request` is to end, or all of it."""
    state = initial_state(shop.plan, "t")
    data = {"reason": "enough"} if request is None else {"reason": "enough", "request": request}
    words = ("cancel", f'["lane","{sequence}"]', orjson.dumps(data).decode(), "{}", "")
    told = Told("t", sequence, *words, "t", state.head, dump_state(state), astray)
    (effect,) = await shop.store.control([told])
    return effect


class RunCancelContract(RunStore):
    @pytest.mark.parametrize("when", ["before its answer", "before its answer is decided", "before it is opened"])
    @pytest.mark.parametrize("reason", [Reason.DONE, Reason.OVERTAKEN, Reason.CAP])
    def test_an_answer_to_a_cancelled_request_is_no_event(self, when: str, reason: Reason) -> None:
        async def work(shop: Asked) -> None:
            shop.step("t", "observe", symptom="slow")
            if when == "before it is opened":
                await decide(shop)
            request = shop.step("t", "propose")
            if when != "before it is opened":
                await decide(shop)
            if when == "before its answer is decided":
                shop.answer("t", request, reason=reason)
            effect = await cancel(shop, request)
            assert (effect.outcome, effect.epoch) == ("applied", 1)
            if when == "before it is opened":
                await decide(shop)
            (run,) = await Runs(shop.store.deciding).open(10)
            assert run.cancelled, "whoever finds it open knows"
            if when != "before its answer is decided":
                shop.answer("t", request, reason=reason)
            await decide(shop)
            found = await outcome_at(shop.store, "t", request)
            code = "run_cap" if reason is Reason.CAP else "run_cancelled"
            assert found is not None and (found["outcome"], found["code"]) == ("refused", code)
            assert await shop.table("SELECT * FROM events WHERE step = 'propose'") == []
            shop.step("t", "note", noted=1)
            again = shop.step("t", "propose")
            shop.answer("t", again)
            await decide(shop)
            found = await outcome_at(shop.store, "t", again)
            assert found is not None and found["outcome"] == "committed", "the thread goes on"

        self.run(work)

    def test_a_cancel_in_the_middle_of_the_answers_turn_wins(self) -> None:
        async def work(shop: Asked) -> None:
            shop.step("t", "observe", symptom="slow")
            request = shop.step("t", "propose")
            await decide(shop)
            shop.answer("t", request)
            commit, times = shop.store.commit, 0

            async def late(*given: object) -> object:
                nonlocal times
                times += 1
                if times == 1:
                    assert (await cancel(shop, request)).outcome == "applied"
                return await commit(*given)  # pyright: ignore

            shop.store.commit = late  # pyright: ignore
            await decide(shop)
            assert times == 2, "the turn that had not seen it is void"
            found = await outcome_at(shop.store, "t", request)
            assert found is not None and found["code"] == "run_cancelled"

        self.run(work)

    def test_a_cancel_of_what_does_not_run_changes_nothing(self) -> None:
        async def work(shop: Asked) -> None:
            observed = shop.step("t", "observe", symptom="slow")
            request = shop.step("t", "propose")
            await decide(shop)
            assert (await cancel(shop, observed, 901)).outcome == "unchanged", "a step that never ran"
            assert (await cancel(shop, 77, 902, astray=True)).outcome == "unchanged", "a step that was never published"
            assert (await cancel(shop, request, 903)).outcome == "applied"
            assert (await cancel(shop, request, 904)).outcome == "unchanged", "it was told already"
            shop.answer("t", request, reason=Reason.CANCELLED)
            await decide(shop)
            assert (await cancel(shop, request, 905)).outcome == "unchanged", "it has ended"
            state = (await shop.store.states(["t"]))["t"]
            assert (state.epoch, state.paused, state.stopped) == (1, False, "")

        self.run(work)

    def test_a_run_of_a_stopped_thread_is_known_to_be(self) -> None:
        async def work(shop: Asked) -> None:
            shop.step("t", "observe", symptom="slow")
            shop.step("t", "propose")
            await decide(shop)
            (run,) = await Runs(shop.store.deciding).open(10)
            assert not run.cancelled
            assert (await cancel(shop, None)).outcome == "applied"
            (run,) = await Runs(shop.store.deciding).open(10)
            assert run.cancelled

        self.run(work)

    def test_no_event_of_a_cancelled_run_by_whoever_goes_round_the_code(self) -> None:
        async def work(shop: Asked) -> None:
            shop.step("t", "observe", symptom="slow")
            request = shop.step("t", "propose")
            await decide(shop)
            await cancel(shop, request)
            end = f"INSERT INTO run_ends VALUES ('t', {request}, 99, 'OPEN>ACTIVE>COMMIT>CLOSE', '{{}}')"
            assert self.raw(end) == "cancelled"

        self.run(work)

    def test_runs_of_a_paused_thread_are_left_until_it_goes_on(self) -> None:
        async def work(shop: Asked) -> None:
            shop.step("t", "observe", symptom="slow")
            request = shop.step("t", "propose")
            await decide(shop)
            asked, state = Runs(shop.store.deciding), initial_state(shop.plan, "t")

            async def tell(sequence: int, record: str, data: str) -> None:
                words = (record, f'["lane","{sequence}"]', data, "{}", "")
                await shop.store.control([Told("t", sequence, *words, "t", state.head, dump_state(state))])

            assert await asked.awake(9) == [("t", request)]
            await tell(901, "pause", '{"reason":"look"}')
            assert await asked.awake(9) == []
            await tell(902, "resume", "{}")
            assert await asked.awake(9) == [("t", request)]

        self.run(work)
