"""Goal: what a closure returns is taken for contributions and follow-ups in one way, and nothing undeclared gets
through. Method: sections, commands and structured outputs, right and wrong, against one small machine.
"""

from __future__ import annotations

from typing import Any

import pytest
from langgraph.graph import END
from langgraph.types import Command, Send
from pydantic import BaseModel, ConfigDict

from relmachine import Machine, Section, View
from relmachine.engine.outputs import mapped, taken
from relmachine.errors import Code, RelmError
from relmachine.kernel.answer import FOLLOW_UPS_MAX
from relmachine.machine.plan import Plan, StepPlan
from tests.unit.engine.turns import candidates, decide, outcomes


class Ask(BaseModel):
    pass


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")
    size: int


class Way(BaseModel):
    goto: str | list[str] | None
    why: str | None = None


def build() -> Machine:
    machine = Machine("outputs")
    note = machine.field("note", str, reducer="log")
    machine.step("small", kind="process")
    machine.step("other", kind="process")
    machine.step("order", kind="process", payload=Order)

    @machine.procedure(writes=[note], targets=["small", "order"])
    def choose(step: Ask, view: View) -> Command[Any]:
        return Command(goto="small", update={"note": "chosen"})

    @machine.procedure(writes=[note], targets=["small"], name="stray")
    def stray(step: Ask, view: View) -> Command[Any]:
        return Command(goto="other")

    @machine.process(writes=[note], targets=["order"])
    def compute(step: Ask, view: View) -> Section:
        return Section({"note": "computed"})

    return machine


@pytest.fixture(scope="module")
def plan() -> Plan:
    return build().plan()


def step(plan: Plan, name: str) -> StepPlan:
    found = plan.step(name)
    assert found is not None
    return found


ORDER = ("order", '{"size":1}')


@pytest.mark.parametrize(
    ("output", "written", "proposes"),
    [
        (Command(goto="small", update={"note": "x"}), {"note": '"x"'}, [("small", "{}")]),
        (Command(goto=["small", Send("order", {"size": 1})]), {}, [("small", "{}"), ORDER]),
        (Command(goto=Send("order", {"size": 1}), update={"note": None}), {}, [ORDER]),
        (Command(goto=END), {}, []),
        (Command(goto=["small", END]), {}, [("small", "{}")]),
        (Command(update={"note": "x"}), {"note": '"x"'}, []),
        (Section({"note": "x"}, propose=[("order", {"size": 1})]), {"note": '"x"'}, [ORDER]),
        (Section(), {}, []),
    ],
)
def test_what_a_procedure_returns(
    plan: Plan, output: object, written: dict[str, str], proposes: list[tuple[str, str]]
) -> None:
    contributions, follow_ups = taken(plan, step(plan, "choose"), output)
    assert dict(contributions) == written
    assert [(item.step, item.data) for item in follow_ups] == proposes


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("choose", Command(goto="other")),
        ("choose", Command(goto="no_such_step")),
        ("choose", Command(goto=Send("other", {}))),
        ("choose", Command(goto="order")),
        ("choose", Command(goto=Send("order", {"size": "1"}))),
        ("choose", Command(goto=Send("order", {"size": 1, "more": 2}))),
        ("choose", Command(goto=Send("order", {"size": float("nan")}))),
        ("choose", Command(goto=Send("order", "size"))),
        ("choose", Command(goto="small", update={"secret": 1})),
        ("choose", Command(goto="small", update=[("note", "x")])),
        ("choose", Command(goto="small", graph=Command.PARENT)),
        ("choose", Command(goto=["small"] * (FOLLOW_UPS_MAX + 1))),
        ("choose", "small"),
        ("choose", None),
        ("compute", Command(update={"note": "x"})),
        ("compute", Section(propose=[("small", {})])),
        ("compute", Section({"note": 1})),
    ],
)
def test_what_is_not_declared_is_refused(plan: Plan, name: str, output: object) -> None:
    with pytest.raises(RelmError) as caught:
        taken(plan, step(plan, name), output)
    assert caught.value.code == Code.OUTPUT_INVALID


@pytest.mark.parametrize(
    ("goto", "proposes"), [("small", ["small"]), (["small", "small"], ["small", "small"]), ([], []), (None, [])]
)
def test_a_structured_answer_goes_to_fields_and_targets(plan: Plan, goto: Any, proposes: list[str]) -> None:
    written, follow_ups = mapped(plan, step(plan, "choose"), (("note", "why"),), Way(goto=goto, why="so"))
    assert dict(written) == {"note": '"so"'}
    assert [item.step for item in follow_ups] == proposes
    assert mapped(plan, step(plan, "choose"), (("note", "why"),), Way(goto=goto))[0] == ()


def test_a_procedure_inside_its_turn_returns_a_command() -> None:
    machine = build()
    steps = candidates(machine, [("choose", {}), ("stray", {}), ("compute", {})])
    assert outcomes(decide(machine, steps)) == [{"note": '"chosen"'}, "output_invalid", {"note": '"computed"'}]


def test_sections_are_equal_when_they_say_the_same() -> None:
    assert Section({"a": 1}, propose=[("b", {})]) == Section({"a": 1}, propose=[("b", {})])
    assert Section({"a": 1}, propose=[("b", {})]) != Section({"a": 1})
    assert repr(Section({"a": 1}, propose=[("b", {})])) == "Section({'a': 1}, propose=[('b', {})])"
    assert repr(Section({"a": 1})) == "Section({'a': 1})"
