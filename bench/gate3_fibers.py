"""What gate 3 takes for a fiber of 64 elements: first seen, by points and by tables, and seen before."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec

from relmachine.algebra.posets import Poset
from relmachine.gates.constraint_checks import check_fibers_by_points, check_fibers_by_tables
from relmachine.gates.constraint_tables import fiber_tables
from relmachine.gates.constraints import ConstraintChecker
from relmachine.kernel.limits import Limits
from relmachine.kernel.proposal import Proposal
from relmachine.kernel.standing import fiber_of
from relmachine.kernel.state import initial_state
from relmachine.machine import Machine
from relmachine.machine.plan import Plan

RUNS = 15
CHAINS, LENGTH = 3, 3
LOOKS = 2000


@dataclass(frozen=True, slots=True)
class FiberTimes:
    """CPU milliseconds for one fiber, the best of runs; `seen_us` in microseconds; numpy's None where it is missing.

    `asked_again` counts what the checker asked the solver about when it met the fiber once more.
    """

    points_ms: float
    tables_ms: float
    numpy_ms: float | None
    seen_us: float
    asked_again: int

    @property
    def points_ratio(self) -> float | None:
        """By points, over numpy on the tables."""
        return None if self.numpy_ms is None else self.points_ms / self.numpy_ms


def plan() -> Plan:
    """Three chains of three claims, each asserted by a step of its own: a fiber of 4 · 4 · 4 elements."""
    machine = Machine("chains")
    for chain in range(CHAINS):
        for level in range(LENGTH):
            below = [f"c{chain}_{level - 1}"] if level else []
            machine.claim(f"c{chain}_{level}", requires=below)
            machine.step(f"do_{chain}_{level}", kind="process", asserts=[f"c{chain}_{level}"])
    return machine.plan()


def fiber_times() -> FiberTimes:
    """Measure."""
    machine = plan()
    fiber = fiber_of(machine, (1 << len(machine.claims)) - 1)
    tables = fiber_tables(fiber, 64)
    assert tables is not None
    assert len(tables.elements) == 64
    assert isinstance(fiber.poset, Poset)
    numpy_ms = None
    if find_spec("numpy") is not None:
        from bench.gate3_numpy import lawful

        assert lawful(tables)
        assert not lawful(replace(tables, top=0))
        numpy_ms = _best(lambda: lawful(tables))
    seen_us, asked_again = _seen(machine)
    return FiberTimes(
        points_ms=_best(lambda: check_fibers_by_points([fiber])),
        tables_ms=_best(lambda: check_fibers_by_tables([tables])),
        numpy_ms=numpy_ms,
        seen_us=seen_us,
        asked_again=asked_again,
    )


def _seen(machine: Plan) -> tuple[float, int]:
    """Microseconds of looking at a change of fiber that was met before, and what was asked about it again."""
    checker = ConstraintChecker(machine, Limits())
    whole = (1 << len(machine.claims)) - 1
    before = replace(initial_state(machine, "t"), asserted=whole & ~(1 << LENGTH - 1))
    turn = _turn(before, whole)
    broken, unknown = checker._seen([turn])  # pyright: ignore[reportPrivateUsage]
    assert unknown
    first_seen, known = checker._first_seen(unknown)  # pyright: ignore[reportPrivateUsage]
    _, verdicts = checker._ask([_turn(before, None)], first_seen)  # pyright: ignore[reportPrivateUsage]
    assert checker._learn(unknown, known, verdicts) == broken == []  # pyright: ignore[reportPrivateUsage]
    asked = checker.asked
    started = time.process_time()
    for _ in range(LOOKS):
        assert checker._seen([turn]) == ([], [])  # pyright: ignore[reportPrivateUsage]
    spent = time.process_time() - started
    asyncio.run(checker.check([turn]))
    return spent / LOOKS * 1e6, checker.asked - asked


def _turn(before: object, fiber: int | None) -> Proposal:
    """A turn that changes the fiber, and writes nothing else."""
    rows: dict[str, object] = {
        name: () for name in Proposal.__dataclass_fields__ if name not in {"before", "after", "fibers"}
    }
    fibers = () if fiber is None else (fiber,)
    return Proposal(before=before, after=before, fibers=fibers, **rows)  # type: ignore[arg-type]


def _best(call: Callable[[], object]) -> float:
    def once() -> float:
        started = time.process_time()
        call()
        return time.process_time() - started

    return min(once() for _ in range(RUNS)) * 1e3


if __name__ == "__main__":
    times = fiber_times()
    print(json.dumps({name: getattr(times, name) for name in FiberTimes.__slots__} | {"ratio": times.points_ratio}))
