"""Goal: a step that a law of the author's own refuses is as if it had not come, for every gate and closure after it.
Method: a machine whose closures and laws build on each other, decided by the engine with a solver in process that
counts what it is asked; the same turns step by step and all at once; with hardly any passes, a prefix."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest
from pydantic import BaseModel

from relmachine import Machine, Section, View
from relmachine.algebra.identity import ID_PATTERN
from relmachine.engine.turn import Case, Engine
from relmachine.errors import Code
from relmachine.gates.admission import AdmissionGate
from relmachine.gates.own_law_facts import facts, sights
from relmachine.gates.own_law_worker import solve
from relmachine.gates.port import OwnLawCase
from relmachine.kernel.advance import advance
from relmachine.kernel.candidate import Candidate
from relmachine.kernel.limits import Limits
from relmachine.kernel.state import initial_state
from relmachine.kernel.verdicts import Admitted, GateName, Refusal, Refused
from relmachine.machine.plan import Plan
from tests.unit.engine.turns import candidates, outcomes
from tests.unit.gates.own_law_desk import FOUR_EYES, law

CHEAP = law(
    'guards("count"). reads(field,"total").',
    'violation(S) :- S = #sum { V,E : value(E,"total",V) }, value(this,"total",_), S > 9.',
)
"""The total, this step's amount with it, stays at nine or below."""


class Amount(BaseModel):
    """Payload of every step."""

    amount: int = 0


def build() -> Machine:
    """`count` adds what it is sent, `double` the total again; `check` and `determine` are under four eyes."""
    machine = Machine("shop")
    total = machine.field("total", int, reducer="sum")
    checked = machine.claim("checked")
    determined = machine.claim("determined", requires=[checked])
    machine.claim("sent", requires=[determined])

    @machine.process(writes=[total])
    def count(step: Amount, view: View) -> Section:
        return Section({"total": step.amount})

    @machine.process(reads=[total], writes=[total])
    def double(step: Amount, view: View) -> Section:
        return Section({"total": view.get("total") or 0})

    @machine.process(asserts=[checked])
    def check(step: Amount, view: View) -> Section:
        return Section({})

    machine.step("determine", kind="process", asserts=["determined"])
    machine.step("send", kind="process", asserts=["sent"])
    machine.step("note", kind="process")
    machine.law("four_eyes", FOUR_EYES)
    machine.law("cheap", CHEAP)
    return machine


MACHINE = build()
PLAN = MACHINE.plan()


class InProcess:
    """Judges each case by the law as written."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.asked = plan, 0

    async def judge(self, cases: Sequence[OwnLawCase]) -> Sequence[Refusal | None]:
        self.asked += len(cases)
        return [self._one(case) for case in cases]

    def _one(self, case: OwnLawCase) -> Refusal | None:
        for sight in sights(self.plan):
            asked = case.scene.step.step in sight.law.guards
            if asked and solve(sight.lifted.text + "".join(facts(sight, case.scene, 0)))["found"]:
                known = dict(zip(case.event_ids(), case.scene.past, strict=True))
                assert all(re.fullmatch(ID_PATTERN, event) for event in known)
                return Refusal(Code.LAW_BROKEN, GateName.LAWS, sight.law.name)
        return None


Published = tuple[str, int, str]


def published(*steps: Published) -> list[Candidate]:
    made = candidates(MACHINE, [(name, {"amount": amount} if amount else {}) for name, amount, _ in steps])
    return [replace(one, principal=who) for one, (_, _, who) in zip(made, steps, strict=True)]


def decided(*steps: Published, limits: Limits | None = None) -> list[Admitted | Refused]:
    engine = Engine(PLAN, AdmissionGate(PLAN), limits or Limits(), InProcess(PLAN))
    return asyncio.run(engine.decide([Case(initial_state(PLAN, "t"), published(*steps))]))[0]


def run(*steps: Published) -> list[object]:
    return outcomes(decided(*steps))


def test_what_needs_a_step_that_a_law_refuses_is_refused_too() -> None:
    found = run(("check", 0, "ann"), ("determine", 0, "ann"), ("send", 0, "eve"), ("note", 0, "eve"))
    assert found == [{}, "law_broken", "requires", {}]


def test_a_later_step_may_do_what_the_refused_one_may_not() -> None:
    found = run(("check", 0, "ann"), ("determine", 0, "ann"), ("determine", 0, "bob"), ("send", 0, "eve"))
    assert found == [{}, "law_broken", {}, {}]


def test_a_law_sees_what_closures_wrote_and_closures_nothing_of_what_it_refuses() -> None:
    found = run(("count", 4, "a"), ("count", 6, "a"), ("double", 0, "a"), ("count", 2, "a"), ("count", 1, "a"))
    assert found == [{"total": "4"}, "law_broken", {"total": "4"}, "law_broken", {"total": "1"}]


def test_a_refused_step_is_no_witness_against_another() -> None:
    """Twice refused for the same reason would be wrong: the second never sees the first."""
    found = run(("count", 9, "a"), ("count", 9, "a"), ("count", 0, "a"))
    assert found == [{"total": "9"}, "law_broken", {"total": "0"}]


def random_steps(seed: int) -> list[Published]:
    rng = Random(seed)
    names = ["count", "double", "check", "determine", "send", "note"]
    return [(rng.choice(names), rng.randint(1, 4), rng.choice("ab")) for _ in range(9)]


def only_amounts(steps: Sequence[Published]) -> list[Published]:
    return [(name, amount if name in ("count", "double", "check") else 0, who) for name, amount, who in steps]


@pytest.mark.parametrize("seed", range(25))
def test_a_turn_decides_as_its_steps_one_by_one(seed: int) -> None:
    steps = only_amounts(random_steps(seed))
    whole = decided(*steps)
    assert outcomes(whole) == outcomes(one_by_one(steps))


def one_by_one(steps: Sequence[Published]) -> list[Admitted | Refused]:
    """Each step in a turn of its own, with all events before it given as the thread's."""
    engine = Engine(PLAN, AdmissionGate(PLAN), Limits(), InProcess(PLAN))
    found: list[Admitted | Refused] = []
    made = published(*steps)
    for place, step in enumerate(made):
        start = initial_state(PLAN, "t")
        before = [item for item in found if isinstance(item, Admitted)]
        known = asyncio.run(engine.decide([Case(start, [*(item.candidate for item in before), step])]))[0]
        assert [outcomes([item]) for item in known[:-1]] == [outcomes([item]) for item in before]
        found.append(known[-1])
        assert len(found) == place + 1
    return found


@pytest.mark.parametrize("passes", range(1, 6))
@pytest.mark.parametrize("seed", range(8))
def test_with_hardly_any_passes_a_prefix_is_decided_and_never_none(seed: int, passes: int) -> None:
    steps = only_amounts(random_steps(seed))
    whole = outcomes(decided(*steps))
    part = outcomes(decided(*steps, limits=Limits(reruns_per_turn_max=passes)))
    assert part
    assert part == whole[: len(part)]


@pytest.mark.parametrize("seed", range(15))
def test_swapping_independent_neighbours_changes_nothing(seed: int) -> None:
    steps = only_amounts(random_steps(seed))
    base = result(published(*steps))
    for place in range(len(steps) - 1):
        first, second = PLAN.step_index[steps[place][0]], PLAN.step_index[steps[place + 1][0]]
        if not PLAN.dependent[first] >> second & 1:
            made = published(*steps)
            made[place], made[place + 1] = made[place + 1], made[place]
            assert result(made) == base, f"seed {seed}, place {place}"


def result(steps: Sequence[Candidate]) -> tuple[dict[str, object], str]:
    renumbered = [replace(step, sequence=number) for number, step in enumerate(steps, start=1)]
    engine = Engine(PLAN, AdmissionGate(PLAN), Limits(), InProcess(PLAN))
    found = asyncio.run(engine.decide([Case(initial_state(PLAN, "t"), renumbered)]))[0]
    head = advance(PLAN, initial_state(PLAN, "t"), found).after.head
    return dict(zip([step.step_key for step in steps], outcomes(found), strict=True)), head


def test_a_step_is_judged_once_unless_what_it_is_judged_by_changes() -> None:
    judge = InProcess(PLAN)
    engine = Engine(PLAN, AdmissionGate(PLAN), Limits(), judge)
    steps = published(("count", 4, "a"), ("count", 6, "a"), ("check", 0, "a"), ("determine", 0, "b"), ("count", 1, "a"))
    asyncio.run(engine.decide([Case(initial_state(PLAN, "t"), steps)]))
    assert judge.asked == 5  # each once, and the last again without the second


def test_a_machine_without_such_laws_asks_nobody() -> None:
    plan = Machine("plain")
    plan.step("note", kind="process")
    judge = InProcess(PLAN)
    engine = Engine(plan.plan(), AdmissionGate(plan.plan()), Limits(), judge)
    (found,) = asyncio.run(engine.decide([Case(initial_state(plan.plan(), "t"), candidates(plan, [("note", {})]))]))
    assert outcomes(found) == [{}]
    assert judge.asked == 0
