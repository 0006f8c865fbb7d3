"""Goal: how a thread's steps are cut into turns decides nothing, with laws of the author's own as without. Method:
random machines with such laws, `once` fields and steps that run; each thread decided as one turn, step by step and in
turns cut at random, by the engine, the kernel's state and what laws see carried from turn to turn."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from random import Random

import pytest

from relmachine import Machine
from relmachine.algebra.identity import payload_digest
from relmachine.engine.turn import Case, Engine
from relmachine.gates.admission import AdmissionGate
from relmachine.gates.own_law_scene import Sighting
from relmachine.kernel.advance import advance
from relmachine.kernel.candidate import Candidate
from relmachine.kernel.folds import FieldFold, fold_of
from relmachine.kernel.limits import Limits
from relmachine.kernel.state import ThreadState, initial_state
from relmachine.kernel.verdicts import Admitted, Refused
from relmachine.machine.canonical import canonical_text
from relmachine.machine.own_law import principals_read
from relmachine.machine.plan import Plan
from tests.unit.engine.test_own_laws import InProcess
from tests.unit.engine.turns import candidates, outcomes
from tests.unit.gates.machines_at_random import Published
from tests.unit.gates.own_law_desk import law
from tests.unit.gates.own_laws_at_random import by_several, crowded_plan

THREADS = 10
"""Threads of a machine: making it takes longer than deciding them."""


@dataclass
class Cut:
    """One way to cut a thread's steps into turns, and how far it is decided."""

    plan: Plan
    turns: list[list[Candidate]]
    state: ThreadState
    seen: list[Sighting] = field(default_factory=list[Sighting])
    written: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    decided: list[Admitted | Refused] = field(default_factory=list[Admitted | Refused])

    def case(self) -> Case:
        """The next turn."""
        values: dict[str, FieldFold] = {}
        for name, texts in self.written.items():
            made = fold_of(self.plan.fields[name], texts)
            assert made is not None
            values[name] = made
        return Case(self.state, self.turns[0], values=values, seen=tuple(self.seen))

    def take(self, found: Sequence[Admitted | Refused]) -> None:
        """The turn's outcomes; what it left undecided is another turn."""
        left = self.turns[0][len(found) :]
        self.turns = [left, *self.turns[1:]] if left else self.turns[1:]
        proposal = advance(self.plan, self.state, found)
        self.state = proposal.after
        admitted = (item for item in found if isinstance(item, Admitted))
        for event, item in zip(proposal.events, admitted, strict=True):
            self.seen.append(Sighting(event.step, event.event_id, item.candidate.principal, item.contributions))
            for name, text in item.contributions:
                self.written.setdefault(name, []).append(text)
        self.decided += found


def cut(plan: Plan, steps: Sequence[Candidate], ends: Sequence[int]) -> Cut:
    """The steps, to be decided in turns that end at `ends`."""
    pairs = zip([0, *ends], [*ends, len(steps)], strict=True)
    return Cut(plan, [list(steps[a:b]) for a, b in pairs], initial_state(plan, "t"))


async def decide(plan: Plan, cuts: Sequence[Cut]) -> None:
    """Decide all turns, those that are next together."""
    engine = Engine(plan, AdmissionGate(plan), Limits(), InProcess(plan))
    while left := [one for one in cuts if one.turns]:
        answers = await engine.decide([one.case() for one in left])
        for one, found in zip(left, answers, strict=True):
            one.take(found)


def published(plan: Plan, thread: Sequence[Published]) -> list[Candidate]:
    named = principals_read(plan.own_laws)
    return [_candidate(plan, step, place, step.step in named) for place, step in enumerate(thread, start=1)]


def _candidate(plan: Plan, step: Published, sequence: int, named: bool) -> Candidate:
    made = step.candidate(sequence, named)
    if not plan.steps[plan.step_index[step.step]].computed:
        return made
    text = canonical_text({"value": "b" if sequence % 3 else "a"})
    return replace(
        made, payload=text, payload_digest=payload_digest(text, step.principal if named else None), recorded=()
    )


async def compared(rng: Random, machines: int) -> Counter[str]:
    """Check so many machines with a few threads each; what they showed."""
    seen = Counter[str]()
    while seen["machines"] < machines:
        seed = rng.getrandbits(32)
        plan = crowded_plan(seed)
        if plan is None:
            continue
        some = Random(seed)
        threads = [published(plan, one) for one in (by_several(some, plan) for _ in range(THREADS))]
        ways = [[list(range(1, len(steps))), [], *_cuts(some, len(steps))] for steps in threads]
        cuts = [[cut(plan, steps, ends) for ends in way] for steps, way in zip(threads, ways, strict=True)]
        await decide(plan, [one for same in cuts for one in same])
        for (singly, *others), (_, *way) in zip(cuts, ways, strict=True):
            for other, ends in zip(others, way, strict=True):
                why = f"machine seed {seed}, cut at {ends}"
                assert outcomes(other.decided) == outcomes(singly.decided), why
                assert other.state == singly.state, why
            seen.update(_shown(plan, singly))
        seen["machines"] += 1
    return seen


def _cuts(rng: Random, steps: int) -> list[list[int]]:
    places = range(1, steps)
    return [sorted(rng.sample(places, rng.randint(1, len(places)))) for _ in range(2)]


def _shown(plan: Plan, one: Cut) -> Iterator[str]:
    for item in one.decided:
        if isinstance(item, Refused):
            yield item.refusal.code
        elif plan.steps[plan.step_index[item.candidate.step]].computed:
            yield "ran"


@pytest.mark.parametrize("seed", range(4))
def test_where_turns_are_cut_decides_nothing(seed: int) -> None:
    seen = asyncio.run(compared(Random(seed), 40))
    assert all(seen[kind] > 5 for kind in ("law_broken", "once", "requires", "closure_failed", "ran")), seen


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4, 8))
def test_where_turns_are_cut_decides_nothing_on_many_machines(seed: int) -> None:
    asyncio.run(compared(Random(seed), 60))


def test_what_a_step_that_breaks_a_law_kept_from_being_admitted_is_a_witness_too() -> None:
    """Without the first step the second may write its value, and then the third breaks a law."""
    machine = Machine("m")
    machine.field("f", "string", reducer="once")
    for name in ("bar", "write"):
        machine.step(name, kind="process", writes={"f": "f"})
    machine.step("look", kind="process")
    machine.law("barred", law('guards("bar").', "violation :- candidate(this)."))
    machine.law("alone", law('guards("look"). reads(step,"write").', 'violation(E) :- event(E), step(E,"write").'))
    plan = machine.plan()
    steps = candidates(machine, [("bar", {"f": "1"}), ("write", {"f": "2"}), ("look", {})])
    cuts = [cut(plan, steps, ends) for ends in ([], [1], [2], [1, 2])]
    asyncio.run(decide(plan, cuts))
    for one in cuts:
        assert outcomes(one.decided) == ["law_broken", {"f": '"2"'}, "law_broken"]
