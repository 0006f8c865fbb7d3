"""The cost of gate 3 is linear: facts per step are bounded by the machine, CPU per step falls as batches grow.

Method: counts of facts, which are exact, and CPU times of whole decisions. A machine is slower at one time than at
another, so two times are compared that follow each other, several times: once is enough, since what is dearer by its
nature is dearer each time. Run with `-s` to see the table of DESIGN.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random

from relmachine.gates.admission import AdmissionGate
from relmachine.gates.admission_facts import FactWriter, step_claims
from relmachine.gates.port import LawCase
from relmachine.kernel.candidate import Candidate
from relmachine.kernel.state import initial_state
from relmachine.machine.machine import Machine
from relmachine.machine.plan import Plan

REQUIRES = {"a": [], "b": ["a"], "c": ["b"], "d": ["c"], "e": ["a"], "f": ["e"], "g": ["f"], "h": ["d", "g"]}
CONTESTED = ["b", "c", "f", "g"]


def machine() -> Plan:
    """Eight claims, five deep; every one asserted, four contested, one `once` field."""
    built = Machine("cost")
    for name, required in REQUIRES.items():
        built.claim(f"claim_{name}", requires=[f"claim_{other}" for other in required])
    built.field("clerk", "string", reducer="once")
    for name in REQUIRES:
        built.step(f"put_{name}", kind="process", asserts=[f"claim_{name}"])
    for name in CONTESTED:
        built.step(f"doubt_{name}", kind="process", contests=[f"claim_{name}"])
    built.step("assign", kind="process", writes={"clerk": "clerk"})
    return built.plan()


PLAN = machine()


def cases(threads: int, steps: int) -> list[LawCase]:
    """Threads that climb, are contested one time in five, climb again, and disagree on the clerk one time in fifty."""
    rng = Random(threads * 1000 + steps)
    return [_case(rng, f"t{number}", steps) for number in range(threads)]


def _case(rng: Random, thread: str, length: int) -> LawCase:
    names, values = list[str](), list[dict[str, str]]()
    for place in range(length):
        name = f"put_{list(REQUIRES)[place % len(REQUIRES)]}"
        if place > len(REQUIRES) and rng.random() < 0.2:
            name = f"doubt_{rng.choice(CONTESTED)}"
        elif rng.random() < 0.1:
            name = "assign"
        names.append(name)
        values.append({"clerk": '"bob"' if rng.random() < 0.02 else '"ann"'} if name == "assign" else {})
    steps = [Candidate(place, thread, name, f"{thread}-{place}", "{}", "d") for place, name in enumerate(names, 1)]
    return LawCase(initial_state(PLAN, thread), steps, values)


PAIRS = 8
"""How often two times are compared."""


def cpu_us_per_step(threads: int, steps: int) -> float:
    """CPU microseconds per step of one decision."""
    gate, batch = AdmissionGate(PLAN), cases(threads, steps)
    start = time.process_time()
    gate.decide(batch)
    return (time.process_time() - start) / (threads * steps) * 1e6


def least_ratio(large: Callable[[], float], small: Callable[[], float]) -> float:
    """Of the first to the second, measured in turn."""
    return min(large() / small() for _ in range(PAIRS))


def test_facts_per_step_do_not_grow_with_the_batch() -> None:
    claims_by_step = {step.name: step_claims(PLAN, step) for step in PLAN.steps}

    def facts(threads: int, steps: int) -> float:
        writer = FactWriter(claims_by_step, {"clerk": 0})
        for case in cases(threads, steps):
            writer.case(case)
        return writer.text().count(".") / (threads * steps)

    assert facts(1, 4000) < 1.2 * facts(1, 400)
    assert facts(100, 40) < 1.2 * facts(1, 40) + 0.5


def test_values_that_all_differ_cost_no_more() -> None:
    gate = AdmissionGate(PLAN)

    def seconds(count: int) -> float:
        steps = [Candidate(place, "t", "assign", f"k{place}", "{}", "d") for place in range(1, count + 1)]
        case = LawCase(initial_state(PLAN, "t"), steps, [{"clerk": f'"{place}"'} for place in range(count)])
        start = time.process_time()
        assert sum(verdict is not None for verdict in gate.decide([case])[0]) == count - 1
        return time.process_time() - start

    assert least_ratio(lambda: seconds(2000), lambda: seconds(200)) < 20


def test_cost_per_step_falls_as_the_batch_grows() -> None:
    shapes = [(1, 5), (1, 200), (100, 10), (100, 100)]
    for threads, steps in shapes:
        print(f"{threads} x {steps}: {min(cpu_us_per_step(threads, steps) for _ in range(5)):.0f} us per step")
    assert least_ratio(lambda: cpu_us_per_step(1, 200), lambda: cpu_us_per_step(1, 5)) < 1
    assert least_ratio(lambda: cpu_us_per_step(100, 100), lambda: cpu_us_per_step(100, 10)) < 1.5
