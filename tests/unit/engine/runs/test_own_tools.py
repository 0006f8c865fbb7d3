"""Goal: the tools that every agent may have answer what the algebra says, of what the step may look at and no more.
Method: a thread with claims inside and outside the step's view, and a model that calls the tools.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest

from relmachine import Machine, View
from relmachine.kernel.answer import Answer, Decision
from relmachine.kernel.state import ThreadState, initial_state
from relmachine.kernel.views import view_digest, view_of
from relmachine.machine.plan import Plan
from tests.unit.engine.runs.incidents import Cause, Check, Incident
from tests.unit.engine.runs.scene import Scene, assert_plays_back, call, final, scripted

OWN = ["normalize", "saturate", "transfer", "settled", "publish"]


def judged(tools: Sequence[str] = OWN) -> Machine:
    """`decide` rests on a measured claim, a guess on it, and a check of the guess; `aside` is none of its business."""
    machine = Machine("judged")
    causes = machine.field("causes", str, reducer="union")
    measured = machine.claim("measured")
    guessed = machine.claim("guessed", requires=[measured])
    checked = machine.claim("checked", requires=[guessed])
    aside = machine.claim("aside")
    rumour = machine.claim("rumour")
    decided = machine.claim("decided", requires=[checked])
    machine.step("measure", kind="process", asserts=[measured])
    machine.step("guess", kind="derivation", asserts=[guessed])
    machine.step("check", kind="process", asserts=[checked], payload=Check)
    machine.step("gossip", kind="process", asserts=[aside])
    machine.step("spread", kind="derivation", asserts=[rumour])

    @machine.derivation(asserts=[decided], writes={causes: "cause"}, output=Cause, tools=[*tools], targets=["check"])
    def decide(step: Incident, view: View) -> str:
        """Decide."""
        return step.title

    return machine


def state(plan: Plan, *claims: str) -> ThreadState:
    mask = plan.claim_mask(*claims)
    return replace(initial_state(plan, "t"), asserted=mask, standing=mask)


def asked(name: str, arguments: dict[str, Any], *claims: str) -> tuple[Answer, Decision, Scene]:
    """What one call of an own tool gave, on a thread in which `claims` hold."""
    machine = judged()
    scene = Scene(machine, "decide", {"default": scripted(call(name, arguments), final(cause="x"))})
    scene.state = state(scene.plan, *claims)
    answer = scene.run()
    assert_plays_back(scene, answer)
    return answer, answer.decisions[1], scene


ALL = ("measured", "guessed", "checked", "aside", "rumour")


@pytest.mark.parametrize(
    ("name", "arguments", "result"),
    [
        ("normalize", {"steps": ["guess", "measure", "gossip"]}, "(gossip guess)(measure)"),
        ("normalize", {"steps": []}, ""),
        ("settled", {}, ["checked", "measured"]),
        ("saturate", {"claims": ["measured"]}, ["guessed", "measured"]),
        ("saturate", {"claims": []}, []),
        ("transfer", {"claims": ["measured"]}, ["measured"]),
        ("transfer", {"claims": ["measured", "guessed"]}, ["guessed", "measured"]),
    ],
)
def test_own_tools_answer_from_the_machine_and_the_view(name: str, arguments: dict[str, Any], result: object) -> None:
    _, decision, _ = asked(name, arguments, *ALL)
    assert (decision.error, orjson.loads(decision.value)) == ("", result)


@pytest.mark.parametrize(
    ("name", "arguments", "code"),
    [
        ("saturate", {"claims": ["aside"]}, "undeclared_read"),
        ("transfer", {"claims": ["decided"]}, "undeclared_read"),
        ("saturate", {"claims": ["no such claim"]}, "undeclared_read"),
        ("saturate", {"claims": ["guessed"]}, "query_refused"),
        ("normalize", {"steps": ["no such step"]}, "unknown_step"),
        ("publish", {"step": "gossip", "data": {}}, "output_invalid"),
        ("publish", {"step": "check", "data": {"host": 1}}, "output_invalid"),
    ],
)
def test_what_they_do_not_answer_goes_back_to_the_model(name: str, arguments: dict[str, Any], code: str) -> None:
    answer, decision, _ = asked(name, arguments, *ALL)
    assert decision.error.startswith(f"{code}: ")
    assert answer.follow_ups == ()


def test_claims_outside_the_view_do_not_show() -> None:
    """Derived independence rests on it: a step that the machine takes for independent changes no answer."""
    for name, arguments in (("settled", {}), ("saturate", {"claims": []}), ("transfer", {"claims": ["measured"]})):
        one, other = (asked(name, arguments, *claims)[1] for claims in (ALL, ALL[:3]))
        assert one.value == other.value


@pytest.mark.parametrize("tool", [*OWN, None])
def test_a_view_is_another_when_a_tool_of_the_step_answers_otherwise_on_it(tool: str | None) -> None:
    """A vetoed claim is asserted: nothing holds that did not hold, and two of the tools tell it all the same."""
    plan = judged([tool] if tool else []).plan()
    step = plan.steps[plan.step_index["decide"]]
    before = state(plan, "measured")
    after, aside = (replace(before, asserted=plan.claim_mask("measured", name)) for name in ("guessed", "aside"))
    digests = [view_digest(plan, step, one, view_of(plan, step, one, {})) for one in (before, after, aside)]
    assert digests[0] == digests[2]
    assert (digests[0] != digests[1]) == (tool in ("saturate", "transfer"))


def test_a_publication_is_a_follow_up_once() -> None:
    answer, decision, _ = asked("publish", {"step": "check", "data": {"host": "db"}}, *ALL)
    assert orjson.loads(decision.value) == {"proposed": "check"}
    assert [(item.step, item.data) for item in answer.follow_ups] == [("check", '{"host":"db"}')]
