"""Goal: a run whose models fail, hang, or spend what they may still has its answer, from the fallback that its step
declares, and the record alone gives the same. Method: models that fail in each way; closures that answer, raise, hang.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from threading import Event
from typing import Any, cast

import pytest
from pydantic import BaseModel
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ModelResponse
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.usage import RequestUsage

from relmachine import Budget, Machine, Run, Section, View
from relmachine.engine.models import ModelBounds, Models
from relmachine.engine.runs.carrier import RunCarrier
from relmachine.engine.runs.port import Mode
from relmachine.kernel.answer import Answer, Decision, Reason
from tests.unit.engine.runs.clock import set_forward
from tests.unit.engine.runs.incidents import incidents
from tests.unit.engine.runs.scene import FakeProcesses, Scene, Turn, assert_plays_back, call, final, prose, scripted
from tests.unit.engine.runs.test_resume import dying, keeping

DOWN = ModelHTTPError(503, "m", "try later")
DEFAULT, SHORT = Budget(), Budget(wall_seconds=0.4)
AMPLE = Budget(wall_seconds=1000.0)


class Incident(BaseModel):
    """What was seen."""

    title: str = "the disk is full"


class Cause(BaseModel):
    """The cause."""

    cause: str


async def never(*_: Any) -> ModelResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def hangs_for(part: float) -> ModelResponse:
    """Of `AMPLE`, on the loop's clock; on whoever has not given up by then, all of it is spent a little later."""
    set_forward(part * AMPLE.wall_seconds)
    await asyncio.sleep(10)
    set_forward(AMPLE.wall_seconds)
    return await never()


def by_rules(step: Incident, view: View) -> Section:
    """What can be said without a model."""
    return Section({"causes": f"by rules: {step.title}"}, propose=[("report", {})])


def careful(
    closure: Callable[[Incident, View], object] = by_rules, budget: Budget = DEFAULT, model: str = "default"
) -> Machine:
    """`judge` and `weigh` ask a model, and have a closure to fall back on."""
    machine = Machine("careful")
    causes = machine.field("causes", str, reducer="union")
    machine.step("report", kind="process")
    given: Any = {"budget": budget, "fallback_closure": closure, "targets": ["report"]}

    @machine.tool()
    def look(service: str) -> str:
        """Look at a service."""
        return f"{service} is slow"

    @machine.derivation(
        writes={causes: "cause"}, output=Cause, model=model, tools=[look, "settled", "publish"], **given
    )
    def judge(step: Incident, view: View) -> str:
        """Find the cause."""
        return step.title

    @machine.derivation(writes=[causes], **given)
    async def weigh(step: Incident, view: View, run: Run) -> Section:
        run.publish("report")
        return Section({"causes": await run.ask(step.title)})

    @machine.derivation(writes=[causes], **given)
    async def flawed(step: Incident, view: View, run: Run) -> Section:
        raise ValueError("a flaw")

    return machine


def paid(answer: ModelResponse, tokens: int) -> ModelResponse:
    return replace(answer, usage=RequestUsage(input_tokens=tokens))


ENDS: dict[str, tuple[Turn, Budget, str]] = {
    "no answer": (scripted(DOWN), DEFAULT, "model_failed"),
    "nothing valid": (scripted(prose("hm")), DEFAULT, "run_failed"),
    "tokens": (scripted(paid(call("look", {"service": "a"}), 600)), Budget(tokens=500), "budget_spent"),
    "tool calls": (scripted(call("look", {"service": "a"})), Budget(tool_calls=1), "budget_spent"),
    "the cap": (scripted(call("look", {"service": "a"})), Budget(passes=1), "run_cap"),
    "nothing new": (scripted(call("look", {"service": "a"})), DEFAULT, "run_stuck"),
    "time": (never, SHORT, "budget_spent"),
}


def notes(answer: Answer) -> list[tuple[str, str]]:
    """What the record says about the end: names of decisions, and the codes of their errors."""
    return [(item.name, item.error.partition(":")[0]) for item in answer.decisions if item.kind == "time"]


@pytest.mark.parametrize("end", ENDS)
def test_the_closure_answers_whatever_ended_the_agent(end: str) -> None:
    model, budget, code = ENDS[end]
    scene = Scene(careful(budget=budget), "judge", {"default": model})
    answer = scene.run()
    assert (answer.reason, answer.failure) == (Reason.DONE, None)
    assert answer.contributions == {"causes": '"by rules: the disk is full"'}
    assert notes(answer)[-1] == ("fallback", code)
    assert_plays_back(scene, answer)


def test_a_model_that_answers_leaves_the_closure_alone() -> None:
    def unused(step: Incident, view: View) -> Section:
        raise AssertionError("nobody needs it")

    answer = Scene(careful(unused), "judge", {"default": scripted(final(cause="a model's"))}).run()
    assert (answer.contributions, notes(answer)) == ({"causes": '"a model\'s"'}, [])


def test_what_the_agent_had_proposed_does_not_count() -> None:
    scene = Scene(careful(), "weigh", {"default": scripted(DOWN)})
    answer = scene.run()
    assert [item.step for item in answer.follow_ups] == ["report"]
    assert_plays_back(scene, answer)


def test_a_flaw_of_the_closure_beside_it_is_not_covered() -> None:
    answer = Scene(careful(), "flawed").run()
    assert (answer.reason, answer.failure and answer.failure.code, notes(answer)) == ("fatal", "closure_failed", [])


def raising(step: Incident, view: View) -> Section:
    raise SystemExit("no rules")


def unfit(step: Incident, view: View) -> Section:
    return Section({"other": 1})


@pytest.mark.parametrize(("closure", "why"), [(raising, "raised SystemExit"), (unfit, "does not fit")])
def test_a_closure_that_gives_nothing_leaves_the_end_as_it_was(closure: Any, why: str) -> None:
    scene = Scene(careful(closure), "judge", {"default": scripted(DOWN)})
    answer = scene.run()
    assert answer.failure is not None
    assert (answer.reason, answer.failure.code, answer.contributions) == (Reason.FATAL, "model_failed", {})
    assert why in answer.failure.sentence
    assert_plays_back(scene, answer)


def test_a_closure_that_hangs_is_over_at_the_deadline_and_plays_back_without_waiting() -> None:
    gate = Event()
    called: list[str] = []

    def hanging(step: Incident, view: View) -> Section:
        called.append(step.title)
        gate.wait()
        return Section()

    scene = Scene(careful(hanging, SHORT), "judge", {"default": never})
    try:
        answer = scene.run()
        assert (answer.reason, [name for name, _ in notes(answer)]) == (
            Reason.BUDGET,
            ["deadline", "fallback", "fallback_late"],
        )
        assert_plays_back(scene, answer)
        assert len(called) == 1
    finally:
        gate.set()


@pytest.mark.parametrize("end", ["no answer", "time"])
def test_a_run_that_dies_on_the_way_to_its_fallback_comes_to_the_same(end: str) -> None:
    model, budget, _ = ENDS[end]
    whole = Scene(careful(budget=budget), "judge", {"default": model}).run()
    for place in range(len(whole.decisions)):
        scene = Scene(careful(budget=budget), "judge", {"default": model})
        kept: list[Decision] = []
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(dying(scene, place, kept))
        after = scene.carry(scene.request(kept), keeping(kept)).answer
        assert (after.reason, after.contributions) == (whole.reason, whole.contributions)
        assert kept == list(after.decisions)
        assert [item.error for item in after.decisions] == [item.error for item in whole.decisions]


def test_a_record_that_says_otherwise_shows_where() -> None:
    scene = Scene(careful(), "judge", {"default": scripted(DOWN)})
    answer = scene.run()
    (edited,) = [place for place, item in enumerate(answer.decisions) if item.name == "fallback"]
    for left in (
        answer.decisions[:edited],
        (*answer.decisions[:edited], answer.decisions[edited].model_copy(update={"error": "run_cap: made up"})),
    ):
        carried = scene.playback(answer.model_copy(update={"decisions": left}))
        assert [one.place for one in carried.divergences] == [edited]
        assert carried.answer.contributions == {}


def test_a_tool_with_the_name_of_a_note_is_none() -> None:
    """The closure stands in as it did, and what is recorded after its end is found."""
    scene = Scene(careful(), "judge", {"default": scripted(DOWN)})
    answer = scene.run()
    named = answer.decisions[-1].model_copy(update={"kind": "tool", "name": "fallback_late"})
    carried = scene.playback(answer.model_copy(update={"decisions": (*answer.decisions, named)}))
    assert [(one.place, one.what) for one in carried.divergences] == [(len(answer.decisions), "the run ends here")]


def test_a_simulation_in_which_the_model_answers_differs_at_the_first_answer() -> None:
    scene = Scene(careful(), "judge", {"default": scripted(DOWN)})
    answer = scene.run()
    now = Scene(careful(), "judge", {"default": scripted(final(cause="better"))})
    carried = now.carry(now.request(answer.decisions, Mode.RESIMULATE))
    assert next(one.place for one in carried.divergences) == 0
    assert carried.answer.contributions == {"causes": '"better"'}


def test_another_closure_is_another_plan() -> None:
    scene = Scene(careful(), "judge", {"default": scripted(DOWN)})
    answer = scene.run()
    other = Scene(careful(unfit), "judge")
    assert [one.what for one in other.playback(answer).divergences] == ["the frozen plan has another 'closure'"]


def test_a_model_that_hangs_has_a_share_of_the_time_and_its_fallback_goes_on() -> None:
    turns: dict[str, Turn] = {"default": lambda *_: hangs_for(0.8), "spare": scripted(final(cause="disk"))}
    scene = Scene(incidents(budget=AMPLE), "hypothesise", turns)
    answer = scene.run()
    assert (answer.reason, [item.name for item in answer.decisions]) == (Reason.DONE, ["default", "spare"])
    assert "in its share" in answer.decisions[0].error
    assert answer.usage.seconds < AMPLE.wall_seconds
    assert_plays_back(scene, answer)


def asked_of(models: Models, scene: Scene) -> Answer:
    """The run with the models of a node in place of the scene's."""
    scene.carrier = RunCarrier(scene.plan, models, FakeProcesses(), scene.limits)
    return scene.run()


def patient(bounds: ModelBounds, primary: list[str], slept: list[float]) -> Models:
    """A model that is down, which notes that it was asked, and a spare one that answers."""

    def down(*_: Any) -> ModelResponse:
        primary.append("asked")
        raise DOWN

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    spare = FunctionModel(lambda messages, info: final(cause="disk"))
    return Models({"default": FunctionModel(down), "spare": spare}, bounds=bounds, sleep=sleep)


def test_a_model_that_is_left_alone_is_not_waited_for() -> None:
    primary: list[str] = []
    models = patient(ModelBounds(attempts_max=1, failures_in_a_row_max=1, rest_seconds=1000), primary, [])
    for _ in range(3):
        answer = asked_of(models, Scene(incidents(), "hypothesise"))
        assert (answer.reason, len(answer.decisions)) == (Reason.DONE, 2)
    assert primary == ["asked"]


def test_a_model_that_hangs_is_left_alone_by_later_runs() -> None:
    asked: list[str] = []

    async def hangs(*_: Any) -> ModelResponse:
        asked.append("asked")
        return await hangs_for(0.585)  # its share is 0.6, and a request is cut off after 0.95 of that

    spare = FunctionModel(lambda messages, info: final(cause="disk"))
    bounds = ModelBounds(
        attempts_max=1, failures_in_a_row_max=1, rest_seconds=1000, request_seconds_max=AMPLE.wall_seconds
    )
    models = Models({"default": FunctionModel(hangs), "spare": spare}, bounds=bounds)
    for _ in range(2):
        answer = asked_of(models, Scene(incidents(budget=AMPLE), "hypothesise"))
        assert (answer.reason, [item.name for item in answer.decisions]) == (
            Reason.DONE,
            ["author:default", "author:spare"],
        )
    assert asked == ["asked"]


@pytest.mark.parametrize(("pause", "slept"), [(1.0, 3), (1000.0, 0)])
def test_no_pause_is_begun_that_outlasts_the_share_of_the_model(pause: float, slept: int) -> None:
    pauses: list[float] = []
    bounds = ModelBounds(backoff_seconds=pause, backoff_seconds_max=pause, failures_in_a_row_max=99)
    answer = asked_of(patient(bounds, [], pauses), Scene(incidents(), "hypothesise"))
    assert (answer.reason, len(pauses)) == (Reason.DONE, slept)


def test_a_fallback_closure_is_a_plain_function() -> None:
    async def awaits(step: Incident, view: View) -> Section:
        return Section()

    report = careful(cast(Any, awaits)).check()
    (finding,) = [found for law in report.failed for found in law.findings if found.witness["step"] == "judge"]
    assert "fallback closure of step 'judge': make it a plain function" in finding.sentence
