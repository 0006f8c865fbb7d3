"""Goal: what becomes of steps that may wait depends on the order of the stream alone, and not on that of independent
neighbours. Method: random machines whose steps defer, random streams with their releases, cut into turns by random and
with neighbours swapped, decided by the real gate and kernel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from random import Random

import pytest

from relmachine.kernel import turn
from relmachine.machine.plan import Plan
from tests.unit.gates.machines_at_random import Published
from tests.unit.held.streams_at_random import Release, Sent, decided, deferring, grown

MACHINES = 30
CUTS = 2


def streams(seed: int) -> Iterator[tuple[int, Plan, list[Sent], Random]]:
    """Random machines, each with a stream."""
    rng, made = Random(seed), 0
    while made < MACHINES:
        machine_seed = rng.getrandbits(32)
        found = deferring(machine_seed)
        if found is not None:
            made += 1
            plan, steps = found
            yield machine_seed, plan, grown(plan, steps, rng), rng


def test_a_stream_is_decided_alike_however_it_is_cut() -> None:
    seen: Counter[str] = Counter()
    for seed, plan, stream, rng in streams(1):
        base = decided(plan, stream)
        for held_max in (64, 1):
            base = decided(plan, stream, held_max=held_max)
            for _ in range(CUTS):
                assert decided(plan, stream, rng, held_max) == base, f"machine seed {seed}"
            seen.update(base.decisions[key] for key in base.decisions if len(base.decisions[key]) < 64)
            seen["waiting"] += len(base.waiting)
        seen["released"] += sum(isinstance(one, Release) for one in stream)
    assert seen["released"] > MACHINES // 4 and seen["waiting"] > MACHINES // 4, seen
    assert seen["limit_exceeded"] > 5, seen


def test_independent_neighbours_may_come_in_any_order() -> None:
    """Not at the bound of held steps, and but for which of two events a release names."""
    seen: Counter[str] = Counter()
    for seed, plan, stream, _ in streams(2):
        base = decided(plan, stream)
        types = {one.key: plan.step_index[one.step] for one in stream if isinstance(one, Published)}
        for place, (one, other) in enumerate(pairwise(stream)):
            if plan.dependent[types[one.key]] >> types[other.key] & 1:
                continue
            swapped = [*stream[:place], other, one, *stream[place + 2 :]]
            found = decided(plan, swapped)
            assert (found.decisions, found.history, found.waiting) == (base.decisions, base.history, base.waiting), seed
            seen["releases swapped" if Release in (type(one), type(other)) else "steps swapped"] += 1
    assert seen["steps swapped"] > MACHINES // 2 and seen["releases swapped"] > MACHINES // 20, seen


def test_no_step_waits_for_what_is_there() -> None:
    """Once every release is decided, whatever waits still needs something that is not effective."""
    for seed, plan, stream, _ in streams(3):
        base = decided(plan, stream)
        again = decided(plan, [*stream, *(Release(key) for key in sorted(base.waiting))])
        assert (again.waiting, again.history) == (base.waiting, base.history), f"machine seed {seed}"


def test_a_release_that_is_forgotten_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted flaw: a turn that looks at one of the claims that a step needs, and not at all of them."""
    support = turn.support

    def one_of(plan: Plan, step: int) -> int:
        return support(plan, step) & -support(plan, step)

    monkeypatch.setattr(turn, "support", one_of)
    with pytest.raises(AssertionError):
        test_no_step_waits_for_what_is_there()
