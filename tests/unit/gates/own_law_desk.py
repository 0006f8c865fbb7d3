"""A small machine with laws of its author's own, and scenes of its steps, for tests of such laws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from relmachine.algebra.identity import payload_digest
from relmachine.gates.own_law_scene import Scene, Sighting
from relmachine.gates.port import OwnLawCase
from relmachine.kernel.candidate import Candidate
from relmachine.kernel.envelope import ANONYMOUS
from relmachine.machine.machine import Machine
from relmachine.machine.plan import Plan

FOUR_EYES = """
#program declaration.
guards("determine"). reads(principal,"check"). reads(principal,"determine").
#program law.
violation(P,E) :- principal(this,P), step(E,"check"), principal(E,P).
"""


def desk(**laws: str) -> Machine:
    """`receive` writes, `check` and `determine` build on it, `doubt` contests, `stop` vetoes, `note` is apart."""
    machine = Machine("desk")
    machine.claim("received")
    machine.claim("checked", requires=["received"])
    machine.claim("determined", requires=["checked"])
    machine.claim("printed")
    machine.field("amount", "integer", reducer="sum")
    machine.field("share", "number", reducer="max")
    machine.field("remark", "string", reducer="union")
    machine.field("urgent", "boolean", reducer="union")
    machine.field("due", "datetime", reducer="min")
    fields = {"amount": "amount", "share": "share", "remark": "remark", "urgent": "urgent", "due": "due"}
    machine.step("receive", kind="process", asserts=["received"], writes=fields)
    machine.step("check", kind="process", asserts=["checked"])
    machine.step("determine", kind="process", asserts=["determined"], writes={"amount": "amount"})
    machine.step("doubt", kind="process", contests=["checked"])
    machine.step("stop", kind="process", vetoes=["printed"])
    machine.step("print_out", kind="process", asserts=["printed"])
    machine.step("note", kind="process")
    for name, text in laws.items():
        machine.law(name, text)
    return machine


def law(declared: str, rules: str) -> str:
    """The text of a law."""
    return f"#program declaration.\n{declared}\n#program law.\n{rules}\n"


def sighting(step: str, principal: str = ANONYMOUS, **written: str) -> Sighting:
    """An event of the past; its id is its step and principal."""
    return Sighting(step, f"{step} by {principal}", principal, tuple(sorted(written.items())))


def case(
    plan: Plan,
    step: str,
    past: Sequence[Sighting] = (),
    *,
    principal: str = ANONYMOUS,
    written: Mapping[str, str] | None = None,
) -> OwnLawCase:
    """The step after `past`, whose claims stand as its steps make them."""
    asserted = standing = vetoed = 0
    for event in past:
        kind = plan.steps[plan.step_index[event.step]]
        asserted |= kind.asserts
        standing = (standing | kind.asserts) & ~kind.contests
        vetoed |= kind.vetoes
    contributions = tuple(sorted((written or {}).items()))
    candidate = Candidate(1, "t", step, '["s","1"]', "{}", payload_digest("{}"), contributions, principal)
    scene = Scene(candidate, contributions, past, asserted, standing, vetoed)
    return OwnLawCase(scene, lambda: [event.event for event in past])
