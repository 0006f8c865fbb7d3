"""Random machines with threads of random steps, for the confluence test: every law has something to say about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from relmachine.algebra.identity import payload_digest
from relmachine.errors import RelmError
from relmachine.kernel.candidate import Candidate
from relmachine.kernel.envelope import ANONYMOUS
from relmachine.machine.canonical import canonical_text
from relmachine.machine.machine import Machine
from relmachine.machine.plan import Kind, Plan

FIELDS = {"u": "union", "l": "log", "m": "max", "o": "once", "p": "once"}


@dataclass(frozen=True)
class Published:
    """A step as it would be published: where it stands in the thread is said by whoever orders it."""

    step: str
    key: str
    contributions: tuple[tuple[str, str], ...]
    principal: str = ANONYMOUS

    def candidate(self, sequence: int, named: bool = False) -> Candidate:
        """The step at `sequence` of thread `t`; `named` when it matters who published it."""
        payload = canonical_text(dict(self.contributions))
        content = payload_digest(payload, self.principal if named else None)
        return Candidate(sequence, "t", self.step, self.key, payload, content, self.contributions, self.principal)


def plan_and_thread(seed: int) -> tuple[Plan | None, Sequence[Published]]:
    """A machine that breaks no law, with a thread of steps; None in its place when the random one breaks some."""
    rng = Random(seed)
    try:
        plan = random_machine(rng).plan()
    except RelmError:
        return None, ()
    return plan, random_thread(rng, plan)


def random_machine(rng: Random) -> Machine:
    """A machine with up to 6 claims; most rest on each other in chains."""
    machine = Machine("random")
    claims = [f"c{number}" for number in range(rng.randint(3, 6))]
    for number, name in enumerate(claims):
        machine.claim(name, requires=_required(rng, claims[:number]))
    for name, reducer in FIELDS.items():
        machine.field(name, "string", reducer=reducer)
    kinds = rng.choice([[Kind.PROCESS], [Kind.PROCESS, Kind.DERIVATION], [Kind.PROCESS, Kind.PROCEDURE], list(Kind)])
    for number, name in enumerate(claims):
        also = [other for other in claims if other != name and rng.random() < 0.08]
        _step(machine, rng, f"put{number}", kinds, asserts=[name, *also])
    for number in range(rng.randint(1, 4)):
        asserts = rng.sample(claims, 1) if rng.random() < 0.2 else []
        rest = [name for name in claims if name not in asserts]
        contests = rng.sample(rest, 1) if rng.random() < 0.5 else []
        vetoes = [name for name in rng.sample(rest, 1) if name not in contests] if rng.random() < 0.5 else []
        _step(machine, rng, f"act{number}", kinds, asserts=asserts, contests=contests, vetoes=vetoes)
    return machine


def random_thread(rng: Random, plan: Plan) -> list[Published]:
    """Four to nine steps: half of them follow the order of the claims, so that long chains come to stand."""
    climbing = iter(sorted(step.name for step in plan.steps if step.name.startswith("put")))
    others = plan.steps[: len(plan.steps) - len(plan.claims) // 2]  # by name: few that only put, all that act
    steps: list[Published] = []
    for number in range(rng.randint(4, 9)):
        name = next(climbing, None) if rng.random() < 0.55 else None
        step = plan.step(name or rng.choice(others).name)
        assert step is not None
        values = {field: canonical_text(rng.choice("ab") if rng.random() < 0.5 else "a") for field in step.writes}
        steps.append(Published(step.name, f'["random","{number}"]', tuple(sorted(values.items()))))
    return steps


def longest_chain(plan: Plan) -> int:
    """Number of claims in the longest chain of prerequisites."""
    length: dict[int, int] = {}

    def of(index: int) -> int:
        if index not in length:
            below = [other.index for other in plan.claims if plan.claims[index].requires >> other.index & 1]
            length[index] = 1 + max((of(other) for other in below), default=0)
        return length[index]

    return max(of(claim.index) for claim in plan.claims)


def _required(rng: Random, earlier: list[str]) -> list[str]:
    if not earlier or rng.random() < 0.25:
        return []
    return sorted({earlier[-1] if rng.random() < 0.7 else rng.choice(earlier) for _ in range(rng.choice([1, 1, 2]))})


def _step(machine: Machine, rng: Random, name: str, kinds: list[Kind], **touches: list[str]) -> None:
    claims = list(machine.declaration.claims)
    reads = rng.sample(claims, 1) if rng.random() < 0.15 else []
    reads += [field for field in FIELDS if rng.random() < 0.05]
    reads = [name for name in reads if name not in touches["asserts"]]
    writes = {field: field for field in FIELDS if rng.random() < (0.1 if FIELDS[field] in ("once", "log") else 0.2)}
    machine.step(name, kind=rng.choice(kinds), reads=reads, writes=writes, **touches)
