"""A small machine in which every law of admission can be broken, and cases for its threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from relmachine.gates.admission import AdmissionGate
from relmachine.gates.port import LawCase
from relmachine.kernel.candidate import Candidate
from relmachine.kernel.state import ThreadState, initial_state
from relmachine.kernel.verdicts import Refusal
from relmachine.machine.machine import Machine
from relmachine.machine.plan import Plan

Step = str | tuple[str, Mapping[str, str]]
"""A step by name, or with the canonical JSON of the `once` values it offers."""


def permit_plan() -> Plan:
    """received ← checked ← decided ← sent, an audit beside it that rests on received, and a withdrawal."""
    machine = Machine("permit", version="7")
    machine.claim("received")
    machine.claim("checked", requires=["received"])
    machine.claim("decided", requires=["checked"])
    machine.claim("sent", requires=["decided"])
    machine.claim("audited", requires=["received"])
    machine.field("clerk", "string", reducer="once")
    machine.field("room", "string", reducer="once")
    machine.field("officers", "string", reducer="union")
    machine.field("at", "datetime", reducer="max")
    writes = {"officers": "resource", "at": "at"}
    machine.step("receive", kind="process", asserts=["received"], writes=writes)
    machine.step("check", kind="process", asserts=["checked"], writes=writes)
    machine.step("adjust", kind="process", contests=["checked"], writes=writes)
    machine.step("decide", kind="process", asserts=["decided"], writes={"clerk": "clerk", "room": "room"})
    machine.step("send", kind="process", asserts=["sent"])
    machine.step("audit", kind="process", asserts=["audited"])
    machine.step("quash", kind="process", vetoes=["audited", "checked"])
    machine.step("peek", kind="process", reads=["checked"])
    machine.step("doubt", kind="process", contests=["decided"], writes={"clerk": "clerk"})
    machine.step("strike", kind="process", vetoes=["checked"], writes={"clerk": "clerk"})
    machine.step("assign", kind="process", writes={"clerk": "clerk"})
    return machine.plan()


PLAN = permit_plan()


def thread(**masks: Sequence[str]) -> ThreadState:
    """A thread's state with the claims named in `asserted`, `standing` and `vetoed`."""
    return replace(initial_state(PLAN, "t"), **{name: PLAN.claim_mask(*claims) for name, claims in masks.items()})


def case(state: ThreadState, *steps: Step, withdrawn: Sequence[int] = ()) -> LawCase:
    """The steps, at sequences 1, 2, …"""
    pairs = [(step, {}) if isinstance(step, str) else step for step in steps]
    candidates = [Candidate(place, "t", name, f"k{place}", "{}", "d") for place, (name, _) in enumerate(pairs, 1)]
    return LawCase(state, candidates, [values for _, values in pairs], frozenset(withdrawn))


def decide(*cases: LawCase) -> Sequence[Sequence[Refusal | None]]:
    """What the gate says of each case."""
    return AdmissionGate(PLAN).decide(cases)


def codes(*steps: Step, state: ThreadState | None = None, withdrawn: Sequence[int] = ()) -> list[str]:
    """The codes of one case's verdicts, empty where there is none."""
    (verdicts,) = decide(case(state or thread(), *steps, withdrawn=withdrawn))
    return ["" if verdict is None else str(verdict.code) for verdict in verdicts]
