"""Gate 3, admission: every law refuses with its witness, exactly where it should. Method: short threads by hand."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from relmachine.errors import Code
from relmachine.gates.admission import AdmissionGate
from relmachine.kernel.verdicts import GateName, Refusal
from tests.unit.gates.permit_plan import PLAN, Step, case, codes, decide, thread

CLERK = {"clerk": '"ann"'}
OTHER = {"clerk": '"bob"'}


def refusal(*steps: Step) -> Refusal:
    """The last step's refusal."""
    (verdicts,) = decide(case(thread(), *steps))
    assert verdicts[-1] is not None
    return verdicts[-1]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (["receive", "check", "decide", "send"], ["", "", "", ""]),
        (["check"], ["requires"]),
        (["check", "receive", "check"], ["requires", "", ""]),
        (["receive", "receive"], ["", ""]),
        # what a step needs rests on more than its direct prerequisites
        (["receive", "check", "decide", "adjust", "send"], ["", "", "", "", "requires"]),
        (["receive", "check", "decide", "adjust", "check", "send"], ["", "", "", "", "", ""]),
        # reading needs the claim as well
        (["peek", "receive", "peek", "check", "peek"], ["requires", "", "requires", "", ""]),
        # a contest that is refused takes nothing away
        (["receive", "adjust", "check", "peek"], ["", "contest_absent", "", ""]),
        (["receive", "check", "adjust", "adjust", "peek"], ["", "", "", "", "requires"]),
        # an assertion that is refused stands nowhere, and is not remembered
        (["check", "adjust"], ["requires", "contest_absent"]),
        # a veto may come before or after the assertion, and is never taken back
        (["receive", "quash", "check", "peek"], ["", "", "", "requires"]),
        (["receive", "check", "quash", "peek"], ["", "", "", "requires"]),
        (["receive", "check", "quash", "check", "decide"], ["", "", "", "", "requires"]),
        (["receive", "check", "decide", "quash"], ["", "", "", "veto_too_late"]),
        # too late is too late, even where the final claim does not stand any more
        (["receive", "check", "decide", "adjust", "quash"], ["", "", "", "", "veto_too_late"]),
        # a veto that is refused vetoes nothing
        (["receive", "check", "decide", "quash", "audit", "peek"], ["", "", "", "veto_too_late", "", ""]),
    ],
)
def test_claims(steps: list[Step], expected: list[str]) -> None:
    assert codes(*steps) == expected


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([("assign", CLERK), ("assign", CLERK), ("assign", OTHER)], ["", "", "once"]),
        ([("assign", OTHER), ("assign", CLERK), ("assign", OTHER), ("assign", CLERK)], ["", "once", "", "once"]),
        # a refused writer sets nothing, whatever it was refused for
        ([("decide", CLERK), ("assign", OTHER), ("assign", CLERK)], ["requires", "", "once"]),
        # fields are apart from each other
        ([("assign", CLERK), "receive", "check", ("decide", {"room": '"bob"'})], ["", "", "", ""]),
        # every other value is refused, not only the first that differs
        ([("assign", CLERK), ("assign", OTHER), ("assign", {"clerk": '"eve"'})], ["", "once", "once"]),
        # a refused writer of the value that is there does not hide it
        ([("assign", CLERK), ("decide", CLERK), ("assign", CLERK)], ["", "requires", ""]),
        # a value not known yet is not judged
        ([("assign", CLERK), "assign", ("assign", OTHER)], ["", "", "once"]),
    ],
)
def test_once(steps: list[Step], expected: list[str]) -> None:
    assert codes(*steps) == expected


@pytest.mark.parametrize(
    ("refused", "after", "expected"),
    [
        ("decide", "send", ""),  # what stood before a refused assertion still stands
        ("doubt", "send", ""),  # what a refused contest is of still stands
        ("decide", "quash", "veto_too_late"),  # what was asserted before a refused assertion still was
        ("doubt", "quash", "veto_too_late"),
    ],
)
def test_a_refused_touch_leaves_what_was_there(refused: str, after: str, expected: str) -> None:
    steps = ["receive", "check", ("decide", CLERK), (refused, OTHER), after]
    assert codes(*steps) == ["", "", "", "once", expected]


def test_a_refused_assertion_does_not_stand() -> None:
    assert codes(("assign", CLERK), "receive", "check", ("decide", OTHER), "send")[3:] == ["once", "requires"]


def test_a_refused_veto_leaves_the_veto_that_was_there() -> None:
    steps = ["receive", "check", "quash", ("assign", CLERK), ("strike", OTHER), "peek"]
    assert codes(*steps) == ["", "", "", "", "once", "requires"]


def test_values_at_the_start_are_kept() -> None:
    state = replace(thread(), values=CLERK)
    assert codes(("assign", OTHER), ("assign", CLERK), ("assign", OTHER), state=state) == ["once", "", "once"]


def test_claims_at_the_start_count() -> None:
    state = thread(asserted=["received", "checked"], standing=["received"])
    assert codes("peek", "adjust", "check", "peek", state=state) == ["requires", "", "", ""]
    assert codes("check", "peek", state=thread(asserted=["received"], standing=["received"], vetoed=["checked"])) == [
        "",
        "requires",
    ]
    assert codes("quash", state=thread(asserted=["received", "checked", "decided"])) == ["veto_too_late"]


def test_withdrawn_steps_count_as_not_admitted() -> None:
    assert codes("receive", "check", withdrawn=[1]) == ["", "requires"]
    assert codes(("assign", CLERK), ("assign", OTHER), ("assign", CLERK), withdrawn=[1]) == ["", "", "once"]
    assert codes("peek", withdrawn=[1]) == [""]


def test_the_witness_of_requires_names_what_is_needed_and_what_is_not_there() -> None:
    found = refusal("receive", "check", "decide", "adjust", "send")
    assert (found.code, found.gate) == (Code.REQUIRES, GateName.LAWS)
    assert found.witness == {"needs": ["decided"], "not_effective": ["checked"]}
    assert "checked" in found.sentence


def test_the_witness_of_a_contest_names_the_claim() -> None:
    assert refusal("receive", "adjust").witness == {"never_asserted": ["checked"]}


def test_the_witness_of_a_late_veto_names_what_is_final() -> None:
    found = refusal("receive", "check", "decide", "send", "quash")
    assert found.witness == {"final": ["decided", "sent"]}
    assert found.code is Code.VETO_TOO_LATE


def test_the_witness_of_once_has_both_values() -> None:
    found = refusal(("assign", CLERK), ("assign", OTHER))
    assert found.witness == {"once": [{"field": "clerk", "value": '"ann"', "offered": '"bob"'}]}


def test_the_witness_of_once_knows_no_value_of_a_withdrawn_step() -> None:
    steps = case(thread(), ("assign", CLERK), ("assign", OTHER), ("assign", {"clerk": '"eve"'}), withdrawn=[2])
    ((_, withdrawn, found),) = decide(steps)
    assert withdrawn is None
    assert found is not None
    assert found.witness == {"once": [{"field": "clerk", "value": '"ann"', "offered": '"eve"'}]}


def test_the_witness_lists_every_violation_and_the_first_law_gives_the_code() -> None:
    found = refusal(("assign", CLERK), ("decide", OTHER))
    assert found.code is Code.REQUIRES
    assert found.witness["not_effective"] == ["checked", "received"]
    assert found.witness["needs"] == ["checked"]
    assert found.witness["once"] == [{"field": "clerk", "value": '"ann"', "offered": '"bob"'}]


def test_cases_of_a_batch_do_not_see_each_other() -> None:
    ready = thread(asserted=["received"], standing=["received"])
    cases = [case(thread(), "check"), case(ready, "check", "peek"), case(thread()), case(thread(), "receive", "check")]
    found = [[verdict and verdict.code for verdict in verdicts] for verdicts in decide(*cases)]
    assert found == [[Code.REQUIRES], [None, None], [], [None, None]]


def test_admit_answers_as_decide_does() -> None:
    gate, cases = AdmissionGate(PLAN), [case(thread(), "check", "receive", "check")]
    assert asyncio.run(gate.admit(cases)) == gate.decide(cases)
    assert asyncio.run(gate.admit([])) == []
