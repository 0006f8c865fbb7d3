"""Goal: a closure that does not wait for a call of its run ends the run, at the same place live and in a playback, and
one that makes its calls one by one, from whatever task, is not bothered. Method: closures that gather, race, time out
and forget, with models that answer at once or never.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from pydantic import BaseModel

from relmachine import Machine, Run, Section, View
from relmachine.kernel.answer import Reason
from tests.unit.engine.runs.scene import Scene, Turn, assert_plays_back, prose, scripted
from tests.unit.engine.runs.test_time import never


class Nothing(BaseModel):
    pass


def answered_once(number: int, *_: Any) -> Any:
    """Answers the first question at once, and no other."""
    return prose("x") if number == 0 else never()


def calling() -> Machine:
    machine = Machine("calling")
    log = machine.field("log", str, reducer="log")
    machine.step("report", kind="process", writes={log: "text"})

    @machine.derivation(writes=[log])
    async def gather(step: Nothing, view: View, run: Run) -> Section:
        texts = await asyncio.gather(run.ask("one"), run.ask("two"))
        return Section({"log": str(texts)})

    @machine.derivation(writes=[log])
    async def race(step: Nothing, view: View, run: Run) -> Section:
        calls = [asyncio.ensure_future(run.ask(text)) for text in ("one", "two")]
        with suppress(BaseException):
            await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        return Section({"log": "raced"})

    @machine.derivation(writes=[log])
    async def clock_beside(step: Nothing, view: View, run: Run) -> Section:
        asked = asyncio.ensure_future(run.ask("one"))
        await asyncio.sleep(0)
        run.now()
        return Section({"log": await asked})

    @machine.derivation(writes=[log], targets=["report"])
    async def publish_beside(step: Nothing, view: View, run: Run) -> Section:
        asked = asyncio.ensure_future(run.ask("one"))
        await asyncio.sleep(0)
        run.publish("report")
        return Section({"log": await asked})

    @machine.derivation(writes=[log])
    async def time_out(step: Nothing, view: View, run: Run) -> Section:
        await run.ask("one")
        try:
            return Section({"log": await asyncio.wait_for(run.ask("two"), 0.05)})
        except TimeoutError:
            return Section({"log": "no opinion"})

    @machine.derivation(writes=[log])
    async def forget(step: Nothing, view: View, run: Run) -> Section:
        await run.ask("one")
        task = asyncio.ensure_future(run.ask("two"))
        await asyncio.sleep(0)
        return Section({"log": f"done: {task.done()}"})

    @machine.derivation(writes=[log], targets=["report"])
    async def one_by_one(step: Nothing, view: View, run: Run) -> Section:
        first = await asyncio.ensure_future(run.ask("one"))
        (second,) = await asyncio.gather(run.ask("two"))
        third = await asyncio.wait_for(run.ask("three"), 60)
        run.publish("report")
        return Section({"log": f"{first}{second}{third}{run.new_id()}"})

    @machine.derivation(writes=[log], targets=["report"])
    async def threads_at_once(step: Nothing, view: View, run: Run) -> Section:
        await asyncio.gather(*(asyncio.to_thread(run.publish, "report", text=text) for text in ("one", "other")))
        return Section()

    @machine.derivation(writes=[log])
    async def ask_in_a_thread(step: Nothing, view: View, run: Run) -> Section:
        return Section({"log": await asyncio.to_thread(asyncio.run, run.ask("one"))})

    return machine


AT_ONCE = scripted(prose("x"))
CASES = [
    *((step, model) for step in ("gather", "race", "clock_beside", "publish_beside") for model in (AT_ONCE, never)),
    ("threads_at_once", AT_ONCE),
    ("ask_in_a_thread", AT_ONCE),
    ("gather", answered_once),
    ("race", answered_once),
    ("time_out", answered_once),
    ("forget", answered_once),
    ("forget", AT_ONCE),
]


@pytest.mark.parametrize(("step", "model"), CASES)
def test_a_call_that_is_not_waited_for_ends_the_run_where_the_record_says(step: str, model: Turn) -> None:
    scene = Scene(calling(), step, {"default": model})
    answer = scene.run()
    assert answer.failure is not None
    assert (answer.reason, answer.failure.code) == (Reason.FATAL, "closure_failed")
    assert "await each before the next" in answer.failure.sentence
    assert answer.decisions[-1].name == "unawaited"
    for _ in range(3):
        assert_plays_back(scene, answer)


def test_calls_that_are_waited_for_are_made_from_any_task() -> None:
    scene = Scene(calling(), "one_by_one", {"default": scripted(prose("x"))})
    answer = scene.run()
    assert (answer.reason, len(answer.decisions)) == (Reason.DONE, 4)
    assert_plays_back(scene, answer)
