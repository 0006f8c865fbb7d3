"""What a step type touches, needs, reads and writes.

Source: `docs/math.md` section 1. Works on declared names, so that a broken machine can still be reported on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from relmachine.machine.declaration import Claim, Declaration, StepDeclaration
from relmachine.machine.own_law import OwnLaw
from relmachine.machine.plan import Plan


@dataclass(frozen=True, slots=True)
class LawReads:
    """What laws read, by name: claims with all they rest on, fields, and step types."""

    claims: frozenset[str] = frozenset()
    fields: frozenset[str] = frozenset()
    steps: frozenset[str] = frozenset()


def law_reads(laws: Iterable[OwnLaw], rests_on: Callable[[str], Iterable[str]]) -> LawReads:
    """What `laws` read. A claim is read with all it rests on, since its effect hangs on that; it is not needed."""
    laws = tuple(laws)
    return LawReads(
        frozenset(name for law in laws for claim in law.claims for name in (claim, *rests_on(claim))),
        frozenset(name for law in laws for name in law.fields),
        frozenset(name for law in laws for name in law.steps),
    )


@dataclass(frozen=True, slots=True)
class Footprint:
    """Names a step type touches. `need`: every claim, transitively, that what it asserts rests on (itself excluded),
    plus the claims it reads with all they rest on. `ordered` are the written fields whose reducer keeps an order.
    `seen` is what the machine's own laws that guard it read.
    """

    step: str
    puts: frozenset[str]
    contests: frozenset[str]
    vetoes: frozenset[str]
    need: frozenset[str]
    reads: frozenset[str]
    writes: frozenset[str]
    ordered: frozenset[str]
    seen: LawReads = LawReads()

    @property
    def touches(self) -> frozenset[str]:
        """The claims it asserts, contests or vetoes."""
        return self.puts | self.contests | self.vetoes


def seen_by(reads: LawReads, step: Footprint) -> bool:
    """Whether a law that reads `reads` sees the events of `step`: so whatever it guards depends on them."""
    return step.step in reads.steps or bool(step.touches & reads.claims or step.writes & reads.fields)


def rests_on(claims: Mapping[str, Claim]) -> dict[str, frozenset[str]]:
    """For each claim all declared claims it rests on, itself included only where `requires` has a cycle through it."""
    below: dict[str, frozenset[str]] = {}
    for name in claims:
        found: set[str] = set()
        pending = [name]
        while pending:
            for required in claims[pending.pop()].requires:
                if required in claims and required not in found:
                    found.add(required)
                    pending.append(required)
        below[name] = frozenset(found)
    return below


def footprints(declaration: Declaration) -> dict[str, Footprint]:
    """The footprint of every step; references to nothing are left out."""
    below = rests_on(declaration.claims)
    return {step.name: _footprint(declaration, step, below) for step in declaration.steps.values()}


def _footprint(declaration: Declaration, step: StepDeclaration, below: Mapping[str, frozenset[str]]) -> Footprint:
    claims, fields = declaration.claims.keys(), declaration.fields
    puts = frozenset(step.asserts) & claims
    reads = frozenset(step.reads)
    need = {name for put in puts for name in below[put]}
    need.update(name for read in reads & claims for name in below[read] | {read})
    writes = frozenset(step.writes) & fields.keys()
    return Footprint(
        step=step.name,
        puts=puts,
        contests=frozenset(step.contests) & claims,
        vetoes=frozenset(step.vetoes) & claims,
        need=frozenset(need),
        reads=reads & fields.keys(),
        writes=writes,
        ordered=frozenset(name for name in writes if fields[name].reducer.ordered),
        seen=law_reads(
            (law for law in declaration.own_laws.values() if step.name in law.guards),
            lambda claim: below.get(claim, frozenset()),
        ),
    )


def footprint_of(plan: Plan, index: int) -> Footprint:
    """The footprint of step number `index` of a plan."""
    step = plan.steps[index]
    below = 0
    for claim in plan.claims:
        if step.needs >> claim.index & 1:
            below |= claim.up
    names = plan.claim_names
    return Footprint(
        step=step.name,
        puts=frozenset(names(step.asserts)),
        contests=frozenset(names(step.contests)),
        vetoes=frozenset(names(step.vetoes)),
        need=frozenset(names(below)),
        reads=step.read_fields,
        writes=step.writes,
        ordered=frozenset(name for name in step.writes if plan.fields[name].reducer.ordered),
        seen=law_reads(
            (law for law in plan.own_laws if step.name in law.guards),
            lambda claim: names(plan.claims[plan.claim_index[claim]].up),
        ),
    )
