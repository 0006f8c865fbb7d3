"""What a step type touches, and the dependence that follows from it, with reasons.

Source: `docs/math.md` section 1. Works on declared names, so that a broken machine can still be reported on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

from relmachine.machine.declaration import Claim, Declaration, StepDeclaration
from relmachine.machine.own_law import OwnLaw
from relmachine.machine.plan import Plan


class Rule(StrEnum):
    """Why two step types are dependent. `one` and `other` of a reason say in which direction."""

    TOUCHES_NEED = "touches_need"
    BOTH_ASSERT = "both_assert"
    BOTH_CONTEST = "both_contest"
    ASSERT_AND_CONTEST = "assert_and_contest"
    VETO_OF_NEED = "veto_of_need"
    VETO_OF_CONTESTED = "veto_of_contested"
    WRITE_AND_READ = "write_and_read"
    BOTH_WRITE_ORDERED = "both_write_ordered"
    LAW_READS_CLAIM = "law_reads_claim"
    LAW_READS_FIELD = "law_reads_field"
    LAW_READS_STEP = "law_reads_step"
    DECLARED = "declared"


_SENTENCES: Mapping[Rule, str] = {
    Rule.TOUCHES_NEED: "{one} asserts or contests {witness}, which {other} needs",
    Rule.BOTH_ASSERT: "both assert {witness}",
    Rule.BOTH_CONTEST: "both contest {witness}",
    Rule.ASSERT_AND_CONTEST: "{one} asserts {witness}, which {other} contests",
    Rule.VETO_OF_NEED: "{one} vetoes {witness}, which {other} needs",
    Rule.VETO_OF_CONTESTED: "{one} vetoes {witness}, which {other} contests",
    Rule.WRITE_AND_READ: "{one} writes {witness}, which {other} reads",
    Rule.BOTH_WRITE_ORDERED: "both write {witness}, whose reducer keeps an order",
    Rule.LAW_READS_CLAIM: "{one} touches {witness}, which a law that guards {other} reads",
    Rule.LAW_READS_FIELD: "{one} writes {witness}, which a law that guards {other} reads",
    Rule.LAW_READS_STEP: "a law that guards {other} reads the events of {witness}",
    Rule.DECLARED: "the machine declares them dependent",
}


@dataclass(frozen=True, slots=True)
class Reason:
    """One rule by which `one` and `other` are dependent; `witness` is a claim, field or step (empty when declared)."""

    rule: Rule
    one: str
    other: str
    witness: str = ""

    @property
    def sentence(self) -> str:
        """The reason in words."""
        return _SENTENCES[self.rule].format(one=self.one, other=self.other, witness=self.witness)


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


Dependence = Mapping[tuple[str, str], tuple[Reason, ...]]
"""The dependent pairs of distinct steps, each pair sorted, with every reason."""


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


def reasons(one: Footprint, other: Footprint) -> list[Reason]:
    """Every reason for which the footprints make two step types dependent; empty when they are independent."""
    found = [
        *_both(Rule.BOTH_ASSERT, one, other, one.puts & other.puts),
        *_both(Rule.BOTH_CONTEST, one, other, one.contests & other.contests),
        *_both(Rule.BOTH_WRITE_ORDERED, one, other, one.ordered & other.ordered),
    ]
    for first, second in ((one, other), (other, one)):
        found += [
            *_both(Rule.TOUCHES_NEED, first, second, (first.puts | first.contests) & second.need),
            *_both(Rule.ASSERT_AND_CONTEST, first, second, first.puts & second.contests),
            *_both(Rule.VETO_OF_NEED, first, second, first.vetoes & second.need),
            *_both(Rule.VETO_OF_CONTESTED, first, second, first.vetoes & second.contests),
            *_both(Rule.WRITE_AND_READ, first, second, first.writes & second.reads),
            *_both(Rule.LAW_READS_CLAIM, first, second, first.touches & second.seen.claims),
            *_both(Rule.LAW_READS_FIELD, first, second, first.writes & second.seen.fields),
            *_both(Rule.LAW_READS_STEP, first, second, second.seen.steps & {first.step}),
        ]
    return found


def _both(rule: Rule, one: Footprint, other: Footprint, witnesses: frozenset[str]) -> list[Reason]:
    return [Reason(rule, one.step, other.step, witness) for witness in sorted(witnesses)]


def derive(declaration: Declaration) -> dict[tuple[str, str], tuple[Reason, ...]]:
    """The dependence of a declaration: what the footprints say and what the author adds."""
    prints = footprints(declaration)
    added = {(min(pair), max(pair)) for pair in declaration.dependent}
    return _pairs(prints, added)


def dependence(plan: Plan) -> Dependence:
    """The dependence of a plan: for each dependent pair the reasons, rule and witness."""
    prints = {step.name: footprint_of(plan, step.index) for step in plan.steps}
    pairs = combinations(plan.steps, 2)
    return _pairs(prints, {(a.name, b.name) for a, b in pairs if plan.dependent[a.index] >> b.index & 1})


def _pairs(prints: Mapping[str, Footprint], added: set[tuple[str, str]]) -> dict[tuple[str, str], tuple[Reason, ...]]:
    """Reasons by pair. A pair in `added` that the footprints leave independent is dependent by declaration."""
    found: dict[tuple[str, str], tuple[Reason, ...]] = {}
    for pair in combinations(sorted(prints), 2):
        why = reasons(prints[pair[0]], prints[pair[1]])
        if not why and pair in added:
            why = [Reason(Rule.DECLARED, *pair)]
        if why:
            found[pair] = tuple(why)
    return found


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


def mask_rows(steps: Sequence[str], pairs: Dependence) -> tuple[int, ...]:
    """For each step in order the mask of the steps that depend on it, itself included."""
    position = {name: index for index, name in enumerate(steps)}
    rows = [1 << index for index in range(len(steps))]
    for one, other in pairs:
        rows[position[one]] |= 1 << position[other]
        rows[position[other]] |= 1 << position[one]
    return tuple(rows)
