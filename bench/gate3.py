"""What gate 3's admission costs per step, by the number of steps of one thread in a batch."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence

from bench.machine import machine
from bench.workload import workload
from relmachine.gates.admission import AdmissionGate
from relmachine.gates.port import LawCase
from relmachine.gates.shape import ShapeGate
from relmachine.kernel.candidate import Candidate, Message
from relmachine.kernel.limits import Limits
from relmachine.kernel.state import initial_state
from relmachine.machine.plan import Reducer

ROUNDS = 30


def admission_microseconds(sizes: Sequence[int]) -> dict[int, float]:
    """CPU microseconds per step for one thread of each size, facts written and read back included; the best of runs."""
    plan = machine().plan()
    gate, shape = AdmissionGate(plan), ShapeGate(plan, Limits())
    found: dict[int, float] = {}
    for size in sizes:
        steps: list[Candidate] = []
        for number, item in enumerate(workload(1, 2 * size, seed=4), start=1):
            checked = shape.check(Message(number, "t", item.step, item.body))
            if isinstance(checked, Candidate):
                steps.append(checked)
        steps = steps[:size]
        once = [
            {name: text for name, text in step.recorded if plan.fields[name].reducer is Reducer.ONCE} for step in steps
        ]
        case = LawCase(initial_state(plan, "t"), steps, once)
        best = min(_seconds(gate, case) for _ in range(ROUNDS))
        found[size] = best / size * 1e6
    return found


def _seconds(gate: AdmissionGate, case: LawCase) -> float:
    started = time.process_time()
    asyncio.run(gate.admit([case]))
    return time.process_time() - started


if __name__ == "__main__":
    print(json.dumps(admission_microseconds((5, 50, 200))))
