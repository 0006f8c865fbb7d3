"""Goal: a closure has three forms, and what each gives is contributions and follow-ups. Method: a machine with all of
them, carried out with models that are functions, and played back from the record.
"""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from relmachine.algebra.frontier import LastEvent
from relmachine.kernel.answer import Reason
from relmachine.kernel.state import ThreadState, initial_state
from relmachine.machine import Machine
from tests.unit.engine.runs.coroutines import coroutines
from tests.unit.engine.runs.incidents import Effects
from tests.unit.engine.runs.scene import Scene, assert_plays_back, call, final, prose, scripted


def after_observing(machine: Machine) -> ThreadState:
    """A thread in which `observed` holds."""
    plan = machine.plan()
    mask = plan.claim_mask("observed")
    last = {plan.step_index["observe"]: LastEvent("e" * 64, 1, 0)}
    return replace(initial_state(plan, "t"), asserted=mask, standing=mask, lasts=last)


def investigation(effects: Effects | None = None) -> Scene:
    machine = coroutines(effects)
    turns = {
        "default": scripted(prose("slow"), call("look", {"service": "web"}), final(guilty=True)),
        "other": scripted(final(guilty=False)),
    }
    return Scene(machine, "investigate", turns, state=after_observing(machine))


def test_a_coroutine_closure_is_given_the_run() -> None:
    effects = Effects()
    scene = investigation(effects)
    answer = scene.run()
    assert answer.reason == Reason.DONE, answer.failure
    (line,) = answer.contributions.values()
    told = "['slow', True, False, 'tool_failed', ['observed'], True, 32]"
    assert orjson.loads(line).startswith(told)
    assert [(item.step, item.data) for item in answer.follow_ups] == [("verify", '{"host":"db"}'), ("report", "{}")]
    kinds = [f"{item.kind} {item.name}" for item in answer.decisions]
    assert kinds == [
        "model default", "tool look", "model default", "tool look", "model default", "model other",
        "tool broken", "tool settled", "time now", "id id",
    ]  # fmt: skip
    assert [item.decision for item in answer.passes] == ["answer", "call", "answer", "answer"]
    effects.called.clear()
    assert_plays_back(scene, answer)
    assert effects.called == ["investigate"]


def test_the_seed_gives_the_same_numbers_in_every_life() -> None:
    assert investigation().run().contributions.keys() == {"log"}
    one, other = (investigation().run().contributions["log"].rpartition(" ")[2] for _ in range(2))
    assert one == other


def test_a_command_names_what_comes_next() -> None:
    scene = Scene(coroutines(), "decide", {"default": scripted(prose("both"))})
    answer = scene.run()
    assert (answer.reason, answer.contributions) == (Reason.DONE, {"log": '"decided"'})
    assert [(item.step, item.data) for item in answer.follow_ups] == [("report", "{}"), ("verify", '{"host":"db"}')]
    assert_plays_back(scene, answer)


@pytest.mark.parametrize(
    ("step", "title", "code"),
    [
        ("choose", "right", ""),
        ("choose", "wrong", "output_invalid"),
        ("choose", "payload", "output_invalid"),
        ("compute", "text", ""),
        ("compute", "number", "output_invalid"),
        ("compute", "fail", "tool_failed"),
    ],
)
def test_plain_closures_run_long_and_ask_nobody(step: str, title: str, code: str) -> None:
    scene = Scene(coroutines(), step, payload={"title": title})
    answer = scene.run()
    assert (answer.failure.code if answer.failure else "") == code
    assert [item.step for item in answer.follow_ups] == ([] if code else ["report"])
    assert (answer.decisions, answer.passes) == ((), ())
    assert_plays_back(scene, answer)


def test_a_closure_does_not_go_on_after_its_run_has_ended() -> None:
    scene = Scene(coroutines(), "swallow", {"default": scripted(prose("no JSON"))})
    answer = scene.run()
    assert (answer.reason, answer.contributions) == (Reason.FATAL, {})
    assert_plays_back(scene, answer)
