"""Goal: a step may be declared to wait in a YAML file, too, and that is part of the laws. Method: one machine in both
forms, with and without."""

from __future__ import annotations

import pytest

from relmachine import Machine, RelmError
from relmachine.machine.yaml_form import parse_machine
from relmachine.store.declaration import dump_plan, load_plan, same_laws

TEXT = """
machine: desk
version: "1"
claims: {received: {}, checked: {requires: [received]}}
steps:
  receive: {kind: process, asserts: [received]}
  check: {kind: process, asserts: [checked]WAITS}
"""


def written(waits: str) -> Machine:
    return parse_machine(TEXT.replace("WAITS", waits))


def test_both_forms_say_the_same() -> None:
    made = Machine("desk", version="1")
    made.claim("received")
    made.claim("checked", requires=["received"])
    made.step("receive", kind="process", asserts=["received"])
    made.step("check", kind="process", asserts=["checked"], on_missing="defer", hold_seconds=9)
    plan = written(", on_missing: defer, hold_seconds: 9").plan()
    assert plan.laws_digest == made.laws_digest()
    check = plan.step("check")
    assert check is not None and (check.defers, check.hold_seconds) == (True, 9.0)
    assert load_plan(dump_plan(plan)).steps[0].defers


def test_to_wait_is_a_law_and_for_how_long_is_none() -> None:
    plain, waits, longer = (
        written(text).plan() for text in ("", ", on_missing: defer", ", on_missing: defer, hold_seconds: 9")
    )
    assert plain.laws_digest != waits.laws_digest == longer.laws_digest
    assert not same_laws(plain, waits)
    assert written(", on_missing: refuse").plan().laws_digest == plain.laws_digest


@pytest.mark.parametrize("waits", [", on_missing: later", ", hold_seconds: soon"])
def test_a_mistake_in_the_file_is_named(waits: str) -> None:
    with pytest.raises(RelmError, match=r"steps\.check\.(on_missing|hold_seconds)"):
        written(waits)
