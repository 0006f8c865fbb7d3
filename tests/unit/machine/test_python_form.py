"""Goal: the Python form declares what it says. Method: the snippet of the design, and each way to declare a step."""

from __future__ import annotations

import pytest
from pydantic import AwareDatetime, BaseModel, ValidationError

from relmachine import Code, Machine, RelmError, Section, View, claim, field
from relmachine.machine.plan import FieldPlan, FieldType, Kind, Plan, StepPlan
from relmachine.machine.section import contributions
from relmachine.machine.values import text_value, value_text

SNIPPET = """
from __future__ import annotations
from pydantic import BaseModel
from relmachine import Section, View

from relmachine import Machine, claim, field

permit = Machine("permit", version="1")
received = permit.claim("received")
checked  = permit.claim("checked", requires=[received])
decision = permit.field("decision", str, reducer="once")

class Check(BaseModel):
    officer: str
    complete: bool

@permit.process(asserts=[checked], reads=[received])       # also .derivation .procedure .inquiry
def check(step: Check, view: View) -> Section: ...
"""


class Check(BaseModel):
    """A payload."""

    officer: str
    at: AwareDatetime | None = None


def step_of(plan: Plan, name: str) -> StepPlan:
    """The step, which exists."""
    found = plan.step(name)
    assert found is not None
    return found


def office() -> Machine:
    """A machine with one computed step and one recorded step of each kind."""
    received, checked = claim("received"), claim("checked", requires=["received"])
    officers = field("officers", str, reducer="union")
    machine = Machine("office", claims=[received, checked], fields=[officers])
    machine.step("receive", kind="process", asserts=[received])

    @machine.process(asserts=[checked], reads=[officers], writes=[officers])
    def check(step: Check, view: View) -> Section:
        return Section({"officers": f"{step.officer} after {view.get(officers)}"})

    for kind, declare in (("d", machine.derivation), ("p", machine.procedure), ("i", machine.inquiry)):
        declare(name=f"judge_{kind}", reads=[checked], writes={officers: "officer"})(Check)
    return machine


def test_the_snippet_of_the_design_runs() -> None:
    space: dict[str, object] = {"__name__": "snippet"}
    exec(compile(SNIPPET, "snippet", "exec", dont_inherit=True), space)
    machine = space["permit"]
    assert isinstance(machine, Machine)
    assert machine.declaration.steps["check"].payload is space["Check"]
    machine.step("receive", kind="process", asserts=["received"])
    assert step_of(machine.plan(), "check").computed


def test_steps_are_as_declared() -> None:
    plan = office().plan()
    check, judged = step_of(plan, "check"), step_of(plan, "judge_d")
    assert check.computed
    assert not judged.computed
    assert [step_of(plan, f"judge_{kind}").kind for kind in "dpi"] == [Kind.DERIVATION, Kind.PROCEDURE, Kind.INQUIRY]
    assert plan.claim_names(check.needs) == ("received",)
    assert plan.claim_names(judged.needs) == ("checked",)
    assert check.writes == judged.writes == {"officers"}
    assert judged.recorded == (("officers", "officer"),)


def test_a_payload_model_may_be_local() -> None:
    class Local(BaseModel):
        note: str

    machine = Machine("m")

    @machine.process()
    def note(step: Local, view: View) -> Section:
        return Section()

    assert issubclass(step_of(machine.plan(), "note").payload_model, Local)


def test_authors_models_refuse_unknown_members_and_stay_themselves() -> None:
    model = step_of(office().plan(), "check").payload_model
    assert isinstance(model.model_validate({"officer": "x"}), Check)
    with pytest.raises(ValidationError):
        model.model_validate({"officer": "x", "more": 1})


def test_a_closure_runs_on_its_payload_and_view() -> None:
    plan = office().plan()
    step = step_of(plan, "check")
    assert step.closure is not None
    view = View("check", step.read_fields, {"officers": ["ann"]})
    output = step.closure(step.payload_model.model_validate({"officer": "bob"}), view)
    assert contributions(plan, step, output) == (("officers", "\"bob after ['ann']\""),)


def test_a_view_shows_what_is_declared_and_nothing_else() -> None:
    view = View("check", frozenset(("officers", "last")), {"officers": ["ann"]}, frozenset(("a", "b")), frozenset("a"))
    assert view["officers"] == ["ann"]
    assert view.get(field("officers", str, reducer="union")) == ["ann"]
    assert list(view) == ["officers"]
    assert "last" not in view
    assert view.get("last", 7) == 7
    assert view.effective("a")
    assert not view.effective(claim("b"))
    with pytest.raises(KeyError):
        view["last"]
    looks = (lambda: view["secret"], lambda: view.get("secret"), lambda: "secret" in view)
    for look in looks:
        with pytest.raises(RelmError) as caught:
            look()
        assert caught.value.code is Code.UNDECLARED_READ
        assert caught.value.witness == {"step": "check", "field": "secret"}
    with pytest.raises(RelmError) as caught:
        view.effective("c")
    assert (caught.value.code, caught.value.witness["claim"]) == (Code.UNDECLARED_READ, "c")


@pytest.mark.parametrize(
    "output",
    [
        None,
        {"officers": "ann"},
        Section({"elsewhere": "ann"}),
        Section({"officers": 5}),
        Section({"officers": True}),
        Section({"officers": "\ud800"}),
    ],
)
def test_outputs_that_are_no_contributions_are_refused(output: object) -> None:
    plan = office().plan()
    with pytest.raises(RelmError) as caught:
        contributions(plan, step_of(plan, "check"), output)
    assert caught.value.code is Code.OUTPUT_INVALID


def test_absent_values_contribute_nothing() -> None:
    plan = office().plan()
    assert contributions(plan, step_of(plan, "check"), Section({"officers": None})) == ()


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("string", ["", "é"], [1, b"x", "\udc00"]),
        ("integer", [0, -5, 2**53 - 1], [1.0, True, "1", 2**53]),
        ("number", [0, 1.5, -3], [True, "1", float("nan"), float("inf")]),
        ("boolean", [True, False], [0, 1, "true"]),
    ],
)
def test_values_fit_their_field_s_type(kind: str, good: list[object], bad: list[object]) -> None:
    plan = FieldPlan("f", FieldType(kind), Machine("m").field("f", str, reducer="union").reducer)
    for value in good:
        assert text_value(plan, value_text(plan, value)) == value
    for value in bad:
        with pytest.raises(RelmError) as caught:
            value_text(plan, value)
        assert caught.value.code is Code.OUTPUT_INVALID


@pytest.mark.parametrize("kind", ["integer", "number"])
def test_a_sum_beyond_the_doubles_is_no_value_for_a_function(kind: str) -> None:
    plan = FieldPlan("f", FieldType(kind), Machine("m").field("f", int, reducer="sum").reducer)
    with pytest.raises(RelmError) as caught:
        text_value(plan, '"5e+309"')
    assert caught.value.code is Code.NUMBER_INVALID


def test_times_come_back_as_the_same_moment() -> None:
    plan = FieldPlan("f", FieldType.DATETIME, Machine("m").field("f", str, reducer="max").reducer)
    moment = Check.model_validate({"officer": "x", "at": "2024-02-29T23:30:00.123456+05:30"}).at
    assert moment is not None
    assert value_text(plan, moment) == '"2024-02-29T18:00:00.123456Z"'
    assert text_value(plan, value_text(plan, moment)) == moment
    for bad in (moment.replace(tzinfo=None), moment.isoformat(), 5):
        with pytest.raises(RelmError):
            value_text(plan, bad)
