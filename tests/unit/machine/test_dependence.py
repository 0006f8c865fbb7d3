"""Goal: dependence is what the mathematics says, with reasons. Method: a literal second reading, random machines."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given, settings

from relmachine.algebra.posets import Poset
from relmachine.machine.compile import compile_plan, stability
from relmachine.machine.declaration import Declaration, StepDeclaration
from relmachine.machine.dependence import Rule, dependence, derive
from relmachine.machine.machine import Machine
from relmachine.machine.plan import Kind, Plan, Reducer
from relmachine.machine.report import Law, Verdict
from relmachine.machine.view import visible_claims
from tests.oracles.nuclei import commutes
from tests.unit.machine.machines import REDUCERS, machines


def plan_of(machine: Machine) -> Plan:
    """The plan, also of a machine that breaks laws which the dependence does not rest on."""
    return compile_plan(machine.declaration, {})


def below(declaration: Declaration, claim: str) -> set[str]:
    """All that `claim` rests on, by walking every path."""
    found: set[str] = set()
    for required in declaration.claims[claim].requires:
        found |= {required} | below(declaration, required)
    return found


def need(declaration: Declaration, step: StepDeclaration) -> set[str]:
    """`need` of math.md section 1."""
    read = [name for name in step.reads if name in declaration.claims]
    return {x for put in step.asserts for x in below(declaration, put)} | {
        x for name in read for x in {name} | below(declaration, name)
    }


def dependent(declaration: Declaration, one: StepDeclaration, other: StepDeclaration) -> bool:
    """The list of math.md section 1, in its order."""
    for s, t in ((one, other), (other, one)):
        if (set(s.asserts) | set(s.contests)) & need(declaration, t):
            return True
        if set(s.asserts) & set(t.asserts) or set(s.contests) & set(t.contests) or set(s.asserts) & set(t.contests):
            return True
        if set(s.vetoes) & (need(declaration, t) | set(t.contests)):
            return True
        if set(s.writes) & set(t.reads):
            return True
    ordered = {name for name, reducer in REDUCERS.items() if reducer in (Reducer.ONCE, Reducer.LOG)}
    return bool(set(one.writes) & set(other.writes) & ordered)


@settings(max_examples=120)
@given(machines())
def test_dependence_is_the_mathematics(machine: Machine) -> None:
    declaration = machine.declaration
    plan = plan_of(machine)
    steps = [declaration.steps[step.name] for step in plan.steps]
    for one, row in zip(steps, plan.dependent, strict=True):
        for index, other in enumerate(steps):
            assert bool(row >> index & 1) == (one is other or dependent(declaration, one, other))


@settings(max_examples=60)
@given(machines())
def test_reasons_of_plan_and_declaration_agree_and_cover_the_matrix(machine: Machine) -> None:
    plan = plan_of(machine)
    found = dependence(plan)
    assert found == derive(machine.declaration)
    pairs = combinations(plan.steps, 2)
    assert set(found) == {(a.name, b.name) for a, b in pairs if plan.dependent[a.index] >> b.index & 1}
    assert all(reasons for reasons in found.values())


@settings(max_examples=60)
@given(machines())
def test_stated_independence_passes_exactly_when_it_is_true(machine: Machine) -> None:
    plan = plan_of(machine)
    for one, other in combinations(plan.steps, 2):
        machine.declaration.independent[:] = [(one.name, other.name)]
        verdict = machine.check().of(Law.INDEPENDENCE_TRUE).verdict
        assert (verdict is Verdict.FAIL) == bool(plan.dependent[one.index] >> other.index & 1)


@settings(max_examples=60)
@given(machines())
def test_stability_and_the_commutation_law_are_the_algebra_s(machine: Machine) -> None:
    declaration = machine.declaration
    plan = plan_of(machine)
    for claim in plan.claims:
        kinds = [step.kind for step in declaration.steps.values() if claim.name in step.asserts]
        vetoed = any(claim.name in step.vetoes for step in declaration.steps.values())
        in_saturation = bool(kinds) and set(kinds) <= {Kind.PROCESS, Kind.PROCEDURE}
        in_transfer = bool(kinds) and set(kinds) <= {Kind.PROCESS, Kind.DERIVATION} and not vetoed
        assert bool(plan.stable_saturation >> claim.index & 1) == in_saturation
        assert bool(plan.stable_transfer >> claim.index & 1) == in_transfer
        assert bool(plan.vetoable >> claim.index & 1) == vetoed
        assert set(plan.claim_names(claim.up)) == {claim.name} | below(declaration, claim.name)
    poset = Poset(tuple(claim.name for claim in plan.claims), tuple(claim.up for claim in plan.claims))
    passes = machine.check().of(Law.NUCLEI_COMMUTE).verdict is Verdict.PASS
    assert passes == commutes(poset, plan.stable_transfer, plan.stable_saturation)
    assert stability(declaration)[2] == set(plan.claim_names(plan.vetoable))


@settings(max_examples=60)
@given(machines())
def test_a_view_shows_only_claims_whose_touchers_depend_on_the_step(machine: Machine) -> None:
    plan = plan_of(machine)
    for step in plan.steps:
        visible = visible_claims(plan, step)
        assert set(plan.claim_names(visible)) == need(machine.declaration, machine.declaration.steps[step.name])
        for other in plan.steps:
            if (other.asserts | other.contests | other.vetoes) & visible:
                assert plan.dependent[step.index] >> other.index & 1


def test_a_declared_dependence_is_added_with_its_reason() -> None:
    machine = Machine("m")
    machine.step("one", kind="process")
    machine.step("other", kind="process")
    assert machine.plan().dependent == (1, 2)
    machine.dependent("other", "one")
    plan = machine.plan()
    assert plan.dependent == (3, 3)
    assert [reason.rule for reason in dependence(plan)["one", "other"]] == [Rule.DECLARED]


def test_need_is_transitive() -> None:
    machine = Machine("m")
    machine.claim("a")
    machine.claim("b", requires=["a"])
    machine.claim("c", requires=["b"])
    for name in "abc":
        machine.step(f"do_{name}", kind="process", asserts=[name])
    reason = dependence(machine.plan())["do_a", "do_c"][0]
    assert (reason.rule, reason.one, reason.other, reason.witness) == (Rule.TOUCHES_NEED, "do_a", "do_c", "a")
    assert reason.sentence == "do_a asserts or contests a, which do_c needs"
