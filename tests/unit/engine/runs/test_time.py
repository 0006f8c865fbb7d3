"""Goal: what hangs is over at the deadline, and a run that is cancelled stops at once and records nothing more.
Method: models, tools and closures that wait for ever, under a budget of a fraction of a second.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from threading import Event
from time import monotonic
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai.messages import ModelResponse

from relmachine import Machine, Run, Section, View
from relmachine.engine.runs.shares import Shares
from relmachine.engine.runs.threads import left_behind
from relmachine.kernel.answer import Decision, Reason
from relmachine.machine.runs import Budget
from tests.unit.engine.runs.clock import set_forward
from tests.unit.engine.runs.incidents import Effects, incidents
from tests.unit.engine.runs.scene import Scene, assert_plays_back, call, final, prose, scripted

SHORT = Budget(wall_seconds=0.3)
WITHIN_SECONDS = 5.0
"""Far less than for ever, far more than a busy machine needs."""


class Nothing(BaseModel):
    pass


async def never(*_: Any) -> ModelResponse:
    await asyncio.Event().wait()
    raise AssertionError


@pytest.mark.parametrize("model", [never, scripted(call("stuck"))], ids=["model", "tool"])
def test_what_hangs_is_over_at_the_deadline(model: Any) -> None:
    effects = Effects()
    scene = Scene(incidents(effects, SHORT), "hypothesise", {"default": model, "spare": model})
    began = monotonic()
    try:
        answer = scene.run()
    finally:
        effects.gate.set()
    assert monotonic() - began < WITHIN_SECONDS
    assert (answer.reason, answer.decisions[-1].name) == (Reason.BUDGET, "deadline")
    assert_plays_back(scene, answer)


def test_a_model_that_does_not_let_go_when_cancelled_is_left_behind() -> None:
    """It answers after all, much later: nobody listens any more."""

    async def run() -> None:
        release, over = asyncio.Event(), asyncio.Event()

        async def clinging(*_: Any) -> ModelResponse:
            while not release.is_set():
                with suppress(asyncio.CancelledError):
                    await release.wait()
            over.set()
            return final(cause="too late")

        scene = Scene(incidents(budget=SHORT), "hypothesise", {"default": clinging})
        kept: list[str] = []

        async def keep(place: int, decision: Decision) -> None:
            kept.append(decision.name)

        began = monotonic()
        carried = await scene.carrier.carry_out(scene.request(), keep)
        assert monotonic() - began < WITHIN_SECONDS
        assert carried.answer.reason == Reason.BUDGET
        assert [item.name for item in carried.answer.decisions] == ["deadline"]
        release.set()
        await asyncio.wait_for(over.wait(), WITHIN_SECONDS)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if left:
            await asyncio.wait(left, timeout=WITHIN_SECONDS)
        assert kept == ["deadline"]

    asyncio.run(run())


def hanging(gate: Event, budget: Budget = SHORT) -> Machine:
    machine = Machine("hanging")
    done = machine.field("done", str, reducer="union")

    @machine.process(durable=True, writes=[done])
    def compute(step: Nothing, view: View) -> Section:
        gate.wait()
        return Section({"done": "at last"})

    @machine.derivation(writes=[done], budget=budget)
    async def wait(step: Nothing, view: View, run: Run) -> Section:
        run.now()
        await run.ask("one")
        await asyncio.Event().wait()
        return Section()

    @machine.derivation(writes=[done], budget=budget)
    async def block(step: Nothing, view: View, run: Run) -> Section:
        run.now()
        gate.wait()
        return Section()

    @machine.derivation(writes=[done], budget=budget)
    async def stubborn(step: Nothing, view: View, run: Run) -> Section:
        while True:
            try:
                await run.ask("again")
            except BaseException:
                if gate.is_set():
                    raise

    return machine


class Unhurried(Shares):
    """A deadline so far away that whoever waits for it is found out."""

    @classmethod
    def of(cls, began: float, wall_seconds: float, *, has_closure: bool) -> Shares:
        return super().of(began, wall_seconds + 4 * WITHIN_SECONDS, has_closure=has_closure)


@pytest.mark.parametrize("step", ["compute", "wait", "block"])
def test_a_closure_that_hangs_is_over_at_the_deadline_and_plays_back_without_waiting(
    step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Event()
    scene = Scene(hanging(gate), step, {"default": scripted(prose("x"))}, budget=SHORT)
    began = monotonic()
    try:
        answer = scene.run()
        assert monotonic() - began < WITHIN_SECONDS
        assert (answer.reason, answer.decisions[-1].name) == (Reason.BUDGET, "deadline")
        monkeypatch.setattr("relmachine.engine.runs.carrier.Shares", Unhurried)
        replayed = monotonic()
        assert_plays_back(scene, answer)
        assert monotonic() - replayed < WITHIN_SECONDS
        assert not gate.is_set()
    finally:
        gate.set()


def test_threads_that_are_left_behind_are_counted_until_they_end() -> None:
    gate = Event()
    until_none_is_left()  # of those of other tests, which have all been let go
    try:
        for number in (1, 2):
            Scene(hanging(gate), "compute", budget=SHORT).run()
            assert left_behind() == number
    finally:
        gate.set()
    until_none_is_left()


def until_none_is_left() -> None:
    deadline = monotonic() + WITHIN_SECONDS
    while left_behind():
        assert monotonic() < deadline
        Event().wait(0.01)


def test_a_closure_that_catches_everything_has_ended_all_the_same() -> None:
    gate = Event()
    scene = Scene(hanging(gate, Budget(wall_seconds=0.3, passes=2)), "stubborn", {"default": scripted(prose("x"))})
    try:
        answer = scene.run()
    finally:
        gate.set()
    assert (answer.reason, len(answer.passes)) == (Reason.CAP, 2)


def test_cancelling_in_a_call_stops_at_once_and_keeps_nothing_more() -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()
    kept: list[Decision] = []

    async def model(*_: Any) -> ModelResponse:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        raise AssertionError

    async def keep(place: int, decision: Decision) -> None:
        kept.append(decision)

    def turns(number: int, messages: Any, info: Any) -> Any:
        return call("look", {"service": "a"}) if number == 0 else model()

    scene = Scene(incidents(), "hypothesise", {"default": turns})

    async def run() -> None:
        task = asyncio.ensure_future(scene.carrier.carry_out(scene.request(), keep))
        await asyncio.wait_for(begun.wait(), WITHIN_SECONDS)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(cancelled.wait(), WITHIN_SECONDS)
        await scene.carrier.close()

    asyncio.run(run())
    assert [item.kind for item in kept] == ["model", "tool"]
    assert scene.models.closed


def test_a_deadline_while_a_decision_is_kept_ends_the_run_before_anything_comes_of_it() -> None:
    """The store is slow: it has kept the model's answer only when the time is over."""

    async def run() -> Any:
        over, places = asyncio.Event(), list[int]()

        async def keep(place: int, decision: Decision) -> None:
            places.append(place)
            if len(places) == 1:
                set_forward(budget.wall_seconds)
                await asyncio.wait_for(over.wait(), WITHIN_SECONDS)
            elif len(places) == 2:  # the same decision again, since the time is over
                assert place == 0
                over.set()
                for _ in range(200):  # the run goes on here, if it does
                    await asyncio.sleep(0)

        return await scene.carrier.carry_out(scene.request(), keep)

    budget = Budget(wall_seconds=1000.0)  # the answer has come long before
    scene = Scene(incidents(budget=budget), "alone", {"default": scripted(final(cause="x"))})
    answer = asyncio.run(run()).answer
    assert (answer.reason, answer.passes, answer.contributions) == (Reason.BUDGET, (), {})
    assert [item.name for item in answer.decisions] == ["default", "deadline"]
    assert_plays_back(scene, answer)


def test_a_store_that_cannot_keep_is_no_answer() -> None:
    async def keep(place: int, decision: Decision) -> None:
        raise OSError("the disk is full")

    scene = Scene(incidents(), "hypothesise", {"default": scripted(final(cause="x"))})
    with pytest.raises(OSError, match="the disk is full"):
        scene.run(keep)
    assert scene.models.asked == ["default"]
