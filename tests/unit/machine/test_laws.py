"""Goal: each law of a declaration is named with its witness. Method: one smallest machine that breaks each law."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
from pydantic import BaseModel, ConfigDict, RootModel

from relmachine import Budget, Code, Machine, RelmError, Section, ThreadBudget, View
from relmachine.machine.declaration import Member
from relmachine.machine.plan import FieldType
from relmachine.machine.report import Law, Verdict


class Note(BaseModel):
    """A payload."""

    text: str | None = None


class Mixed(BaseModel):
    """A payload whose member is sometimes of no field type."""

    amount: int | list[int] | None = None


class Open(BaseModel):
    """A payload that lets anything in."""

    model_config = ConfigDict(extra="allow")


class Outer(BaseModel):
    """A payload with a model inside."""

    inner: Note | None = None


class Opaque(BaseModel):
    """A payload without a JSON schema."""

    call: Callable[[], int] | None = None


class Listed(RootModel[list[str]]):
    """A payload that is no object."""


class Tree(BaseModel):
    """A payload that contains itself: closing the outer one leaves the inner ones open."""

    text: str | None = None
    parts: list[Tree] = []


def sound() -> Machine:
    """A machine that breaks nothing: `a <- b`, and a field of each writer."""
    machine = Machine("sound")
    a = machine.claim("a")
    machine.claim("b", requires=[a])
    machine.field("total", int, reducer="sum")
    machine.step("do_a", kind="process", asserts=["a"])
    machine.step("do_b", kind="process", asserts=["b"], writes={"total": "amount"})
    return machine


def cycle(machine: Machine) -> None:
    machine.claim("x", requires=["z"])
    machine.claim("y", requires=["x"])
    machine.claim("z", requires=["y"])
    machine.step("all", kind="process", asserts=["x", "y", "z"])


def self_cycle(machine: Machine) -> None:
    machine.claim("x", requires=["x"])
    machine.step("do_x", kind="process", asserts=["x"])


def derivation_on_procedure(machine: Machine) -> None:
    machine.claim("routed")
    machine.claim("judged", requires=["routed"])
    machine.step("route", kind="procedure", asserts=["routed"])
    machine.step("judge", kind="derivation", asserts=["judged"])


def procedure_on_derivation(machine: Machine) -> None:
    machine.claim("judged")
    machine.claim("routed", requires=["judged"])
    machine.step("route", kind="procedure", asserts=["routed"])
    machine.step("judge", kind="derivation", asserts=["judged"])


def derivation_on_vetoable(machine: Machine) -> None:
    machine.claim("judged", requires=["a"])
    machine.step("judge", kind="derivation", asserts=["judged"])
    machine.step("kill_a", kind="process", vetoes=["a"])


def independence_by_need(machine: Machine) -> None:
    machine.claim("c", requires=["b"])
    machine.step("do_c", kind="process", asserts=["c"])
    machine.independent("do_a", "do_c")


def independence_by_field(machine: Machine) -> None:
    machine.field("by", str, reducer="once")
    machine.step("one", kind="process", writes={"by": "who"})
    machine.step("other", kind="process", writes={"by": "who"})
    machine.independent("other", "one")


def independence_of_itself(machine: Machine) -> None:
    machine.independent("do_a", "do_a")


def independence_and_dependence(machine: Machine) -> None:
    machine.step("free", kind="process")
    machine.independent("free", "do_a")
    machine.dependent("do_a", "free")


def nested_open_model(machine: Machine) -> None:
    machine.step("deep", kind="process", payload=Outer)


def judging_closure(machine: Machine) -> None:
    @machine.derivation(asserts=["a"])
    def judge(step: Note, view: View) -> Section:
        return Section()


def closure_without_model(machine: Machine) -> None:
    @machine.process(asserts=["a"])
    def work(step, view):  # pyright: ignore
        return Section()


def closure_of_one_argument(machine: Machine) -> None:
    @machine.process(asserts=["a"])
    def work(step: Note) -> Section:
        return Section()


def closure_that_waits(machine: Machine) -> None:
    @machine.process(asserts=["a"])
    async def work(step: Note, view: View) -> Section:
        return Section()


def closure_that_records(machine: Machine) -> None:
    @machine.process(asserts=["a"], writes={"total": "text"})
    def work(step: Note, view: View) -> Section:
        return Section()


def empty(machine: Machine) -> None:
    machine.declaration.steps.clear()


def waiting(machine: Machine, **given: object) -> None:
    machine.step("s", kind="process", reads=["a"], **given)  # pyright: ignore


def deferring_run(machine: Machine) -> None:
    @machine.process(name="late", reads=["a"], durable=True, on_missing="defer")
    def late(step: Note, view: View) -> Section:
        return Section()


def asking(machine: Machine, budget: Budget | None = None, targets: tuple[str, ...] = (), **tool: float) -> None:
    """`ask` asks a model, with one tool."""

    @machine.tool(**cast(Any, tool))
    def look() -> str:
        return ""

    @machine.derivation(output=Note, budget=budget or Budget(), tools=[look], targets=targets)
    def ask(step: Note, view: View) -> str:
        return ""


def budgeted(machine: Machine, budget: ThreadBudget) -> None:
    machine.declaration.budget = budget


def ingest_to_nowhere(machine: Machine) -> None:
    machine.ingest_xes(names={"Check": "nope"}, payload={"who": "event:org:resource"})


def ingest_from_nowhere(machine: Machine) -> None:
    machine.ingest_xes(names={"Check": "do_a"}, payload={"who": "org:resource"})


def process_beside_derivation(machine: Machine) -> None:
    machine.step("judge_b", kind="derivation", asserts=["b"])


Breaking = Callable[[Machine], object]

OF_S = {"step": "s"}
BROKEN: list[tuple[Law, Breaking, dict[str, object]]] = [
    (Law.REQUIRES_ACYCLIC, cycle, {"cycle": ["x", "z", "y", "x"]}),
    (Law.REQUIRES_ACYCLIC, self_cycle, {"cycle": ["x", "x"]}),
    (Law.NUCLEI_COMMUTE, derivation_on_procedure, {"claim": "judged", "rests_on": "routed"}),
    (Law.NUCLEI_COMMUTE, procedure_on_derivation, {"claim": "routed", "rests_on": "judged"}),
    (Law.NUCLEI_COMMUTE, derivation_on_vetoable, {"claim": "judged", "rests_on": "a"}),
    (
        Law.INDEPENDENCE_TRUE,
        independence_by_need,
        {"independent": ["do_a", "do_c"], "rule": "touches_need", "claim": "a"},
    ),
    (
        Law.INDEPENDENCE_TRUE,
        independence_by_field,
        {"independent": ["other", "one"], "rule": "both_write_ordered", "field": "by"},
    ),
    (Law.INDEPENDENCE_TRUE, independence_of_itself, {"independent": ["do_a", "do_a"]}),
    (Law.INDEPENDENCE_TRUE, independence_and_dependence, {"independent": ["free", "do_a"]}),
    (
        Law.REFERENCES_KNOWN,
        lambda m: m.step("s", kind="process", asserts=["nope"]),
        {"step": "s", "asserts": "nope"},
    ),
    (Law.REFERENCES_KNOWN, lambda m: m.claim("c", requires=["nope"]), {"claim": "c", "requires": "nope"}),
    (Law.REFERENCES_KNOWN, lambda m: m.step("s", kind="process", reads=["nope"]), {"step": "s", "reads": "nope"}),
    (
        Law.REFERENCES_KNOWN,
        lambda m: m.step("s", kind="process", writes={"nope": "x"}),
        {"step": "s", "writes": "nope"},
    ),
    (Law.REFERENCES_KNOWN, lambda m: m.dependent("do_a", "nope"), {"dependent": ["do_a", "nope"], "step": "nope"}),
    (
        Law.FOOTPRINT_CONSISTENT,
        lambda m: m.step("s", kind="process", asserts=["a"], contests=["a"]),
        {"step": "s", "asserts": "a", "contests": "a"},
    ),
    (
        Law.FOOTPRINT_CONSISTENT,
        lambda m: m.step("s", kind="process", asserts=["b"], vetoes=["b"]),
        {"step": "s", "asserts": "b", "vetoes": "b"},
    ),
    (
        Law.GROUND_KEPT,
        lambda m: m.step("s", kind="process", asserts=["b"], contests=["a"]),
        {"step": "s", "asserts": "b", "contests": "a"},
    ),
    (
        Law.GROUND_KEPT,
        lambda m: m.step("s", kind="process", asserts=["b"], vetoes=["a"]),
        {"step": "s", "asserts": "b", "vetoes": "a"},
    ),
    (Law.NAMES_UNIQUE, lambda m: m.claim("a"), {"claim": "a"}),
    (Law.NAMES_UNIQUE, lambda m: m.field("total", str, reducer="once"), {"field": "total"}),
    (Law.NAMES_UNIQUE, lambda m: m.step("do_a", kind="process"), {"step": "do_a"}),
    (Law.NAMES_VALID, lambda m: m.step("_", kind="process"), {"step": "_"}),
    (Law.NAMES_VALID, lambda m: m.step("journal", kind="process"), {"step": "journal"}),
    (Law.NAMES_VALID, lambda m: m.claim("class"), {"claim": "class"}),
    (Law.NAMES_VALID, lambda m: m.field("Total", int, reducer="sum"), {"field": "Total"}),
    (Law.NAMES_VALID, lambda m: m.claim("x" * 65), {"claim": "x" * 65}),
    (
        Law.NAMES_VALID,
        lambda m: m.step("s", kind="process", writes={"total": "copy"}),
        {"step": "s", "member": "copy"},
    ),
    (Law.NAMES_APART, lambda m: m.field("a", str, reducer="once"), {"claim": "a", "field": "a"}),
    (Law.NOT_EMPTY, empty, {"machine": "sound", "steps": 0}),
    (Law.CLAIMS_ASSERTED, lambda m: m.claim("lonely"), {"claim": "lonely"}),
    (
        Law.REDUCER_FITS,
        lambda m: m.field("f", str, reducer="sum"),
        {"field": "f", "type": "string", "reducer": "sum"},
    ),
    (
        Law.REDUCER_FITS,
        lambda m: m.field("f", bool, reducer="max"),
        {"field": "f", "type": "boolean", "reducer": "max"},
    ),
    (
        Law.MEMBERS_FIT,
        lambda m: m.step("s", kind="process", payload=Note, writes={"total": "text"}),
        {"step": "s", "field": "total", "member": "text"},
    ),
    (
        Law.MEMBERS_FIT,
        lambda m: m.step("s", kind="process", payload=Mixed, writes={"total": "amount"}),
        {"step": "s", "field": "total", "member": "amount"},
    ),
    (
        Law.MEMBERS_FIT,
        lambda m: m.step("s", kind="process", payload=Note, writes={"total": "absent"}),
        {"step": "s", "field": "total", "member": "absent"},
    ),
    (
        Law.MEMBERS_FIT,
        lambda m: m.step("s", kind="process", payload=[Member("x", FieldType.STRING)], writes={"total": "x"}),
        {"step": "s", "field": "total", "member": "x"},
    ),
    (Law.MEMBERS_FIT, lambda m: m.step("s", kind="process", writes=["total"]), {"step": "s", "fields": ["total"]}),
    (Law.PAYLOAD_CLOSED, lambda m: m.step("s", kind="process", payload=Open), {"step": "s", "model": "Open"}),
    (Law.PAYLOAD_CLOSED, lambda m: m.step("s", kind="process", payload=Opaque), {"step": "s", "model": "Opaque"}),
    (Law.PAYLOAD_CLOSED, lambda m: m.step("s", kind="process", payload=Listed), {"step": "s", "model": "Listed"}),
    (Law.PAYLOAD_CLOSED, lambda m: m.step("s", kind="process", payload=Tree), {"step": "s", "model": "Tree"}),
    (Law.PAYLOAD_CLOSED, nested_open_model, {"step": "deep", "model": "Note"}),
    (Law.CLOSURES_RUN, judging_closure, {"step": "judge"}),
    (Law.CLOSURES_RUN, closure_without_model, {"step": "work"}),
    (Law.CLOSURES_RUN, closure_of_one_argument, {"step": "work"}),
    (Law.CLOSURES_RUN, closure_that_waits, {"step": "work"}),
    (Law.CLOSURES_RUN, closure_that_records, {"step": "work", "fields": ["total"]}),
    *[
        (
            Law.CLOSURES_RUN,
            lambda m, n=n, v=v: asking(m, Budget(**{n: v})),
            {"step": "ask", "bound": f"budget.{n}", "given": str(v)},
        )
        for n, v in (
            ("wall_seconds", 0.0),
            ("wall_seconds", float("inf")),
            ("solver_seconds", float("nan")),
            ("tokens", 0),
            ("cost", -1.0),
            ("tool_calls", -1),
            ("passes", 0),
            ("repeats", 0),
            ("failures", -3),
        )
    ],
    *[
        (
            Law.CLOSURES_RUN,
            lambda m, n=n, v=v: asking(m, **{n: v}),
            {"step": "ask", "bound": f"look.{n}", "given": str(v)},
        )
        for n, v in (("seconds", 0.0), ("seconds", float("inf")), ("memory_bytes", -1), ("output_bytes", 0))
    ],
    (Law.DEFERRAL_SOUND, lambda m: m.step("s", kind="process", on_missing="defer"), {"step": "s"}),
    (Law.DEFERRAL_SOUND, deferring_run, {"step": "late"}),
    (Law.DEFERRAL_SOUND, lambda m: waiting(m, on_missing="later"), {"step": "s", "on_missing": "later"}),
    (Law.DEFERRAL_SOUND, lambda m: waiting(m, hold_seconds=9), {"step": "s", "hold_seconds": 9}),
    *[
        (
            Law.DEFERRAL_SOUND,
            lambda m, n=n: waiting(m, on_missing="defer", hold_seconds=n),
            {"step": "s", "hold_seconds": str(n)},
        )
        for n in (0, -1.0, float("nan"), float("inf"), 1e9)
    ],
    (Law.BUDGET_SOUND, lambda m: budgeted(m, ThreadBudget()), {}),
    *[
        (Law.BUDGET_SOUND, lambda m, n=n, v=v: budgeted(m, ThreadBudget(**{n: v})), {"budget": n, "given": str(v)})
        for n, v in (
            ("tokens", 0),
            ("tokens", 1.5),
            ("cost", -1.0),
            ("cost", float("nan")),
            ("tool_calls", -1),
            ("wall_seconds", float("inf")),
        )
    ],
    (Law.INGEST_KNOWN, ingest_to_nowhere, {"activity": "Check", "step": "nope"}),
    (Law.INGEST_KNOWN, ingest_from_nowhere, {"member": "who", "source": "org:resource"}),
    (
        Law.OWN_LAWS_SOUND,
        lambda machine: machine.law("odd", '#program declaration.\nguards("nobody").\n#program law.\nviolation.'),
        {"law": "odd", "line": 2},
    ),
]


def test_a_sound_machine_passes_every_law() -> None:
    report = sound().check()
    assert {item.law: item.verdict for item in report.verdicts} == dict.fromkeys(Law, Verdict.PASS)
    assert report.ok
    assert sound().plan().machine == "sound"


@pytest.mark.parametrize(("law", "break_it", "witness"), BROKEN)
def test_a_broken_machine_is_named_with_law_and_witness(
    law: Law, break_it: Breaking, witness: dict[str, object]
) -> None:
    machine = sound()
    break_it(machine)
    found = machine.check().of(law)
    assert found.verdict is Verdict.FAIL
    assert witness in [dict(item.witness) for item in found.findings]
    with pytest.raises(RelmError) as caught:
        machine.plan()
    assert caught.value.code is Code.MACHINE_INVALID
    assert law in str(caught.value)


def test_every_law_is_broken_by_some_machine_here() -> None:
    """But warnings, and tables, which `test_explicit` breaks."""
    warnings = {Law.CONFIRMATION_APART, Law.CONFIRMATION_COMPUTED}
    assert {law for law, _, _ in BROKEN} == set(Law) - warnings - {Law.TABLES_LAWFUL}


def test_no_bound_at_all_is_a_run_without_tool_calls_and_without_a_bound_on_its_cost() -> None:
    machine = sound()
    asking(machine, Budget(tool_calls=0, cost=None))
    assert machine.check().ok


def test_a_model_that_may_settle_a_claim_by_a_recorded_process_is_a_warning() -> None:
    """A recorded step that asserts nothing, and one that is computed, are none."""
    machine = sound()
    machine.step("noted", kind="process")
    machine.step("judged", kind="derivation", asserts=["b"])
    machine.step("stated", kind="process", asserts=["a"])
    asking(machine, targets=("noted", "judged", "stated", "compute"))

    @machine.process(asserts=["a"])
    def compute(step: Note, view: View) -> Section:
        return Section()

    report = machine.check()
    assert report.ok
    found = report.of(Law.CONFIRMATION_COMPUTED)
    assert (found.verdict, [dict(item.witness) for item in found.findings]) == (
        Verdict.WARNING,
        [{"step": "ask", "target": "stated", "claims": ["a"]}],
    )


def test_a_process_beside_another_kind_is_a_warning() -> None:
    machine = sound()
    process_beside_derivation(machine)
    report = machine.check()
    assert report.ok
    assert [item.law for item in report.warnings] == [Law.CONFIRMATION_APART]
    assert report.of(Law.CONFIRMATION_APART).findings[0].witness == {"claim": "b", "steps": ["do_b", "judge_b"]}


def test_everything_wrong_is_reported_at_once() -> None:
    machine = Machine("None", version=" ")
    cycle(machine)
    machine.claim("x")
    machine.step("s", kind="inquiry", asserts=["x", "nope"], contests=["x"], reads=["gone"], writes={"away": "m"})
    report = machine.check()
    failed = {item.law for item in report.failed}
    expected = {Law.NAMES_VALID, Law.NAMES_UNIQUE, Law.REFERENCES_KNOWN, Law.REQUIRES_ACYCLIC, Law.FOOTPRINT_CONSISTENT}
    assert expected <= failed
    assert report.as_json()["ok"] is False
    assert [item["law"] for item in report.as_json()["laws"]] == [str(law) for law in Law]  # pyright: ignore
