"""Goal: a record that was changed is found out, at the decision where it was; a simulation reports where models answer
otherwise now, and ends. Method: edit one member of one decision, of the frozen plan or of the code, and play back.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from relmachine import Machine, Run, Section, View
from relmachine.engine.runs.decisions import seal_of
from relmachine.engine.runs.port import Mode
from relmachine.kernel.answer import Answer, Reason
from relmachine.kernel.frozen import Frozen
from tests.unit.engine.runs.incidents import Effects, Incident, incidents
from tests.unit.engine.runs.scene import Scene, assert_plays_back, call, final, scripted

LOOK, GOOD = call("look", {"service": "a"}), final(cause="disk")


def recorded() -> tuple[Scene, Answer]:
    """A run of three decisions: a model's, a tool's, a model's."""
    scene = Scene(incidents(), "hypothesise", {"default": scripted(LOOK, GOOD)})
    answer = scene.run()
    assert [item.kind for item in answer.decisions] == ["model", "tool", "model"]
    return scene, answer


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize(
    "change", [{"value": '"?"'}, {"asked": "0" * 64}, {"tokens": 7}, {"error": "x: y"}, {"name": "n"}]
)
def test_an_edited_decision_is_found_where_it_is(place: int, change: dict[str, Any]) -> None:
    scene, answer = recorded()
    decisions = list(answer.decisions)
    decisions[place] = decisions[place].model_copy(update=change)
    carried = scene.playback(answer.model_copy(update={"decisions": tuple(decisions)}))
    assert [item.place for item in carried.divergences] == [place]
    failure = carried.answer.failure
    assert failure is not None
    assert (carried.answer.reason, failure.code) == (Reason.FATAL, "run_diverged")
    assert carried.answer.contributions == {}


@pytest.mark.parametrize("change", [{"value": "no response"}, {"asked": "0" * 64}, {"value": '{"parts":[]}'}])
def test_an_edit_that_is_sealed_anew_is_found_by_what_follows(change: dict[str, Any]) -> None:
    scene, answer = recorded()
    edited = answer.decisions[0].model_copy(update=change)
    edited = edited.model_copy(update={"seal": seal_of(edited)})
    carried = scene.playback(answer.model_copy(update={"decisions": (edited, *answer.decisions[1:])}))
    assert [item.place for item in carried.divergences] == [0 if "asked" in change else 1]


@pytest.mark.parametrize(
    "change",
    [{"plan_digest": "0" * 64}, {"version": "2"}, {"model": "better"}, {"fallback": ""}, {"seed": 1}, {"closure": "x"}],
)
def test_an_edited_frozen_plan_is_found_at_once(change: dict[str, Any]) -> None:
    scene, answer = recorded()
    frozen = replace(Frozen.load(answer.plan), **change)
    (divergence,) = scene.playback(answer, frozen).divergences
    assert divergence.place == 0


def test_an_edited_budget_is_found_at_once() -> None:
    scene, answer = recorded()
    frozen = Frozen.load(answer.plan)
    edited = replace(frozen, budget=replace(frozen.budget, passes=17))
    (divergence,) = scene.playback(answer, edited).divergences
    assert (divergence.place, divergence.what) == (0, "something else is asked")


def test_code_that_changed_since_ends_the_run() -> None:
    """The frozen plan of another step's closure stands for a closure that was edited."""
    scene, answer = recorded()
    frozen = replace(Frozen.load(answer.plan), closure="0" * 64)
    carried = scene.carry(scene.request((), Mode.LIVE, frozen))
    assert carried.answer.failure is not None
    assert carried.answer.failure.code == "run_diverged"
    assert "closure" in carried.divergences[0].what


def test_a_record_that_is_cut_or_goes_on_is_found() -> None:
    scene, answer = recorded()
    cut = scene.playback(answer.model_copy(update={"decisions": answer.decisions[:2]}))
    assert [(item.place, item.what) for item in cut.divergences] == [(2, "the record ends here")]
    longer = scene.playback(answer.model_copy(update={"decisions": (*answer.decisions, answer.decisions[0])}))
    assert [(item.place, item.what) for item in longer.divergences] == [(3, "the run ends here")]


def test_a_live_run_does_not_go_on_from_another_record() -> None:
    scene, answer = recorded()
    edited = answer.decisions[1].model_copy(update={"value": '"fine"'})
    scene.models.asked.clear()
    carried = scene.carry(scene.request((answer.decisions[0], edited)))
    assert (carried.answer.reason, [item.place for item in carried.divergences]) == (Reason.FATAL, [1])
    assert scene.models.asked == []


def test_a_simulation_asks_again_and_reports_the_first_difference() -> None:
    effects = Effects()
    scene = Scene(incidents(effects), "hypothesise", {"default": scripted(LOOK, GOOD)})
    answer = scene.run()
    again = scripted(call("look", {"service": "a"}), final(cause="disk"))  # the same but for the ids of the calls
    same = Scene(incidents(effects), "hypothesise", {"default": again})
    carried = same.carry(same.request(answer.decisions, Mode.RESIMULATE))
    assert (carried.divergences, len(same.models.asked)) == ((), 2)
    other = Scene(incidents(effects), "hypothesise", {"default": scripted(LOOK, final(cause="net"))})
    carried = other.carry(other.request(answer.decisions, Mode.RESIMULATE))
    assert [(item.place, item.what) for item in carried.divergences] == [(2, "something else came")]
    assert (carried.answer.reason, carried.answer.contributions) == (Reason.DONE, {"causes": '"net"'})


def test_a_simulation_that_takes_another_way_ends_too() -> None:
    _, answer = recorded()
    shorter = Scene(incidents(), "hypothesise", {"default": scripted(GOOD)})
    carried = shorter.carry(shorter.request(answer.decisions, Mode.RESIMULATE))
    assert [item.place for item in carried.divergences] == [0]
    assert carried.answer.reason == Reason.DONE
    longer = Scene(incidents(), "hypothesise", {"default": scripted(LOOK, call("settled"), GOOD)})
    carried = longer.carry(longer.request(answer.decisions, Mode.RESIMULATE))
    assert [item.place for item in carried.divergences] == [2]
    assert len(carried.answer.decisions) == 5


@pytest.mark.parametrize("name", ["look", "solver", "deadline", "unawaited"])
def test_a_tool_with_the_name_of_a_stop_ends_no_record(name: str) -> None:
    """What is recorded after it is found as after any other tool."""
    scene = Scene(_one_call(name), "calls")
    answer = scene.run()
    assert [(item.kind, item.name) for item in answer.decisions] == [("tool", name)]
    assert_plays_back(scene, answer)
    carried = scene.playback(answer.model_copy(update={"decisions": (*answer.decisions, answer.decisions[0])}))
    assert [(item.place, item.what) for item in carried.divergences] == [(1, "the run ends here")]


def _one_call(name: str) -> Machine:
    """`calls` calls one tool, of that name, and is done."""
    machine = Machine("named")

    def tool() -> str:
        """Look."""
        return "slow"

    tool.__name__ = name
    given = machine.tool()(tool)
    causes = machine.field("causes", str, reducer="union")

    @machine.derivation(writes=[causes], tools=[given])
    async def calls(step: Incident, view: View, run: Run) -> Section:
        return Section({"causes": str(await run.tool(name))})

    return machine
