"""Random plans and the turns of many threads on them: what the constraint gate sees in a running node."""

from __future__ import annotations

import random
from collections.abc import Sequence

import orjson
from pydantic import BaseModel

from relmachine.algebra.posets import Poset
from relmachine.kernel.advance import advance
from relmachine.kernel.candidate import Candidate
from relmachine.kernel.proposal import Proposal
from relmachine.kernel.state import ThreadState
from relmachine.kernel.verdicts import Admitted
from relmachine.machine.plan import ClaimPlan, FieldPlan, FieldType, Kind, Plan, Reducer, StepPlan

FIELDS = {"first": Reducer.ONCE, "second": Reducer.ONCE, "all": Reducer.UNION, "last": Reducer.MAX}


def random_plan(rng: random.Random, claims: int = 10, kinds: Sequence[Kind] = (Kind.PROCESS,)) -> Plan:
    """One step for each claim, named after it; some pairs of steps are made dependent at random."""
    names = [f"c{index:02d}" for index in range(claims)]
    poset = Poset.from_prerequisites(
        {name: [other for other in names[:index] if rng.random() < 0.3] for index, name in enumerate(names)}
    )
    kind = [rng.choice(kinds) for _ in names]
    dependent = [1 << index | poset.up[index] for index in range(claims)]
    for index in range(claims):
        for other in range(claims):
            if dependent[index] >> other & 1 or rng.random() < 0.1:
                dependent[index] |= 1 << other
                dependent[other] |= 1 << index
    return Plan(
        machine="random",
        version="1",
        laws_digest="laws",
        digest="plan",
        matrix_digest="matrix",
        claims=tuple(ClaimPlan(index, name, 0, poset.up[index]) for index, name in enumerate(names)),
        steps=tuple(_step(index, name, kind[index]) for index, name in enumerate(names)),
        fields={name: FieldPlan(name, FieldType.STRING, reducer) for name, reducer in FIELDS.items()},
        dependent=tuple(dependent),
        stable_saturation=sum(1 << index for index, each in enumerate(kind) if each.saturation_stable),
        stable_transfer=sum(1 << index for index, each in enumerate(kind) if each.transfer_stable),
        vetoable=0,
        step_index={name: index for index, name in enumerate(names)},
        claim_index={name: index for index, name in enumerate(names)},
    )


def _step(index: int, name: str, kind: Kind) -> StepPlan:
    return StepPlan(index, name, kind, 1 << index, 0, 0, 0, frozenset(), frozenset(FIELDS), (), BaseModel)


def random_turn(plan: Plan, rng: random.Random, state: ThreadState, steps: int) -> Proposal:
    """A turn of `steps` steps whose prerequisites are asserted; `first`, a `once` field, gets one value always."""
    asserted, decided = state.asserted, list[Admitted]()
    for place in range(steps):
        able = [claim for claim in plan.claims if claim.up & ~(1 << claim.index) & ~asserted == 0]
        claim = rng.choice(able)
        asserted |= 1 << claim.index
        sequence = state.cursor + 2 * (place + 1)
        candidate = Candidate(sequence, state.thread, claim.name, f"key {sequence}", "{}", "payload")
        written = {"all": f"{sequence}", "last": f"{sequence}"}
        if rng.random() < 0.2:
            written["first"] = "always this"
        contributions = tuple((name, orjson.dumps(value).decode()) for name, value in sorted(written.items()))
        decided.append(Admitted(candidate, contributions))
    return advance(plan, state, decided)
