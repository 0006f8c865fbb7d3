"""The admission program decides as the definitions in math.md read, and wherever a batch is cut.

Method: random machines and threads; each law evaluated word by word over the admitted past, and the same thread decided
as one batch and as two with the kernel's state between them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random

from relmachine.gates.admission import AdmissionGate
from relmachine.gates.port import LawCase
from relmachine.kernel.advance import advance
from relmachine.kernel.state import ThreadState, initial_state
from relmachine.kernel.verdicts import Admitted, Refusal, Refused
from relmachine.machine.plan import Plan, Reducer
from tests.unit.gates.machines_at_random import Published, plan_and_thread, random_thread

MACHINES = 400


def test_the_program_decides_as_the_definitions_read_wherever_a_batch_is_cut() -> None:
    rng, seen = Random(11), Counter[str]()
    while seen["machines"] < MACHINES:
        seed = rng.getrandbits(32)
        plan, _ = plan_and_thread(seed)
        if plan is None:
            continue
        thread = random_thread(rng, plan)
        expected = by_definition(plan, thread)
        whole, _ = decide(plan, initial_state(plan, "t"), thread, 0)
        assert [violated(verdict) for verdict in whole] == expected, f"machine seed {seed}"
        cut = rng.randint(0, len(thread))
        first, state = decide(plan, initial_state(plan, "t"), thread[:cut], 0)
        second, _ = decide(plan, state, thread[cut:], cut)
        assert [*first, *second] == list(whole), f"machine seed {seed}, cut at {cut}"
        seen["machines"] += 1
        seen.update(law for laws in expected for law in laws)
    assert all(seen[law] > 10 for law in ("not_effective", "never_asserted", "final", "once")), seen


def decide(
    plan: Plan, state: ThreadState, thread: Sequence[Published], after: int
) -> tuple[Sequence[Refusal | None], ThreadState]:
    """The gate's verdicts on the steps, and the state they lead to."""
    steps = [step.candidate(sequence) for sequence, step in enumerate(thread, after + 1)]
    (verdicts,) = AdmissionGate(plan).decide([LawCase(state, steps, [once(plan, step) for step in thread])])
    decided = [
        Admitted(step, step.recorded) if verdict is None else Refused(step, verdict)
        for step, verdict in zip(steps, verdicts, strict=True)
    ]
    return verdicts, advance(plan, state, decided).after


def once(plan: Plan, step: Published) -> dict[str, str]:
    return {name: value for name, value in step.contributions if plan.fields[name].reducer is Reducer.ONCE}


def violated(verdict: Refusal | None) -> set[str]:
    return set() if verdict is None else set(verdict.witness) - {"needs"}


def by_definition(plan: Plan, thread: Sequence[Published]) -> list[set[str]]:
    """The laws that each step breaks, from the admitted steps before it alone."""
    past: list[Published] = []
    found: list[set[str]] = []
    for step in thread:
        laws = broken(plan, past, step)
        found.append(laws)
        if not laws:
            past.append(step)
    return found


def broken(plan: Plan, past: Sequence[Published], step: Published) -> set[str]:
    declared = [plan.steps[plan.step_index[earlier.step]] for earlier in past]
    now = plan.steps[plan.step_index[step.step]]

    def stands(index: int) -> bool:
        touches = [earlier for earlier in declared if (earlier.asserts | earlier.contests) >> index & 1]
        vetoed = any(earlier.vetoes >> index & 1 for earlier in declared)
        return bool(touches) and touches[-1].asserts >> index & 1 == 1 and not vetoed

    def effective(index: int) -> bool:
        below = (claim.index for claim in plan.claims if plan.claims[index].requires >> claim.index & 1)
        return stands(index) and all(effective(other) for other in below)

    asserted = {claim.index for claim in plan.claims if any(item.asserts >> claim.index & 1 for item in declared)}
    claims = [claim.index for claim in plan.claims]
    final = [
        claim.index
        for claim in plan.claims
        if plan.stable_transfer >> claim.index & 1 and claim.up & ~(1 << claim.index) & now.vetoes
    ]
    values = {name: value for earlier in past for name, value in once(plan, earlier).items()}
    laws = {
        "not_effective": any(now.needs >> index & 1 and not effective(index) for index in claims),
        "never_asserted": any(now.contests >> index & 1 and index not in asserted for index in claims),
        "final": any(index in asserted for index in final),
        "once": any(values.get(name, value) != value for name, value in once(plan, step).items()),
    }
    return {law for law, holds in laws.items() if holds}
