"""Goal: computed steps see their causal past and nothing else, and a failing one takes only its dependents with it.
Method: a machine whose closures count, conflict, fail and look around, decided without stream or store."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel

from relmachine import Machine, Section, View
from relmachine.kernel.advance import advance
from relmachine.kernel.limits import Limits
from relmachine.kernel.state import initial_state
from tests.unit.engine.turns import candidates, decide, outcomes


class Amount(BaseModel):
    """Payload of most steps."""

    amount: int = 0


def build() -> Machine:
    """`count` adds; `price` reads the sum and writes it once; `seal` needs `priced`; `aside` is independent."""
    machine = Machine("shop", version="1")
    total = machine.field("total", int, reducer="sum")
    names = machine.field("names", str, reducer="union")
    price = machine.field("price", int, reducer="once")
    label = machine.field("label", int, reducer="once")
    opened = machine.claim("opened")
    priced = machine.claim("priced", requires=[opened])
    sealed = machine.claim("sealed", requires=[priced])
    asides = machine.claim("asides")

    @machine.process(asserts=[opened], writes=[total])
    def count(step: Amount, view: View) -> Section:
        if step.amount < 0:
            raise ValueError("negative")
        return Section({"total": step.amount})

    @machine.process(asserts=[priced], reads=[total], writes=[price])
    def fix_price(step: Amount, view: View) -> Section:
        return Section({"price": view["total"]})

    @machine.process(asserts=[sealed], reads=[price])
    def seal(step: Amount, view: View) -> Section:
        assert view.effective("priced")
        return Section({})

    @machine.process(asserts=[asides], writes=[names])
    def aside(step: Amount, view: View) -> Section:
        return Section({"names": f"n{step.amount}"})

    @machine.process(reads=[total])
    def peek(step: Amount, view: View) -> Section:
        view.get("names")
        return Section({})

    @machine.process(writes=[total, label])
    def tag(step: Amount, view: View) -> Section:
        return Section({"total": step.amount, "label": step.amount})

    @machine.process(writes=[total])
    def wrong(step: Amount, view: View) -> Section:
        return Section({"total": "much"})

    return machine


MACHINE = build()
STEPS = ("count", "fix_price", "seal", "aside", "peek", "tag", "wrong")


def run(*steps: tuple[str, int], limits: Limits | None = None) -> list[object]:
    made = candidates(MACHINE, [(name, {"amount": amount}) for name, amount in steps])
    return outcomes(decide(MACHINE, made, limits))


def test_a_closure_sees_what_its_causal_past_contributed() -> None:
    found = run(("count", 2), ("aside", 1), ("count", 3), ("fix_price", 0), ("seal", 0))
    assert found == [{"total": "2"}, {"names": '"n1"'}, {"total": "3"}, {"price": "5"}, {}]


@pytest.mark.parametrize(("step", "code"), [("peek", "undeclared_read"), ("wrong", "output_invalid")])
def test_what_a_closure_may_not_do_is_refused(step: str, code: str) -> None:
    assert run(("count", 1), (step, 0), ("aside", 0)) == [{"total": "1"}, code, {"names": '"n0"'}]


def test_a_failed_closure_takes_its_dependents_and_nobody_else() -> None:
    found = run(("count", -1), ("fix_price", 0), ("aside", 4), ("seal", 0))
    assert found == ["closure_failed", "requires", {"names": '"n4"'}, "requires"]


def test_a_failure_is_not_seen_by_those_who_still_may_run() -> None:
    assert run(("count", 2), ("count", -1), ("fix_price", 0)) == [{"total": "2"}, "closure_failed", {"price": "2"}]


def test_a_computed_once_value_that_differs_is_refused_after_its_run() -> None:
    found = run(("count", 2), ("fix_price", 0), ("count", 1), ("fix_price", 0), ("seal", 0))
    assert found == [{"total": "2"}, {"price": "2"}, {"total": "1"}, "once", {}]


def test_who_read_what_was_refused_after_its_run_runs_again() -> None:
    found = run(("count", 0), ("tag", 1), ("tag", 2), ("fix_price", 0))
    assert found == [{"total": "0"}, {"label": "1", "total": "1"}, "once", {"price": "1"}]


def test_the_same_computed_once_value_again_is_admitted() -> None:
    assert run(("count", 2), ("fix_price", 0), ("fix_price", 0))[2] == {"price": "2"}


def test_a_turn_that_needs_more_passes_than_allowed_decides_a_prefix() -> None:
    steps = [("count", 2), ("fix_price", 0), ("count", -1), ("fix_price", 0), ("seal", 0)]
    whole = run(*steps)
    for passes in range(2, 6):
        part = run(*steps, limits=Limits(reruns_per_turn_max=passes))
        assert part
        assert part == whole[: len(part)]


@pytest.mark.parametrize("seed", range(20))
def test_swapping_independent_neighbours_changes_no_outcome(seed: int) -> None:
    rng = random.Random(seed)
    plan = MACHINE.plan()
    steps = candidates(
        MACHINE,
        [(rng.choice(STEPS), {"amount": rng.randint(-1, 2)}) for _ in range(9)],
    )
    base = result(steps)
    for place in range(len(steps) - 1):
        first, second = plan.step_index[steps[place].step], plan.step_index[steps[place + 1].step]
        if not plan.dependent[first] >> second & 1:
            swapped = [*steps[:place], steps[place + 1], steps[place], *steps[place + 2 :]]
            assert result(swapped) == base, f"seed {seed}, place {place}"


def result(steps: list[Any]) -> tuple[dict[str, object], str, str]:
    """Outcome of each step key, the history id and the section digest, whatever the order."""
    renumbered = [replace(step, sequence=number) for number, step in enumerate(steps, start=1)]
    decided = decide(MACHINE, renumbered)
    proposal = advance(MACHINE.plan(), initial_state(MACHINE.plan(), "t"), decided)
    keys = [step.step_key for step in steps]
    section = proposal.histories[-1].section_digest if proposal.histories else ""
    return dict(zip(keys, outcomes(decided), strict=True)), proposal.after.head, section
