"""The dependence of step types that follows from their footprints, with reasons. Source: `docs/math.md` section 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

from relmachine.machine.declaration import Declaration
from relmachine.machine.footprint import Footprint, footprint_of, footprints
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


Dependence = Mapping[tuple[str, str], tuple[Reason, ...]]
"""The dependent pairs of distinct steps, each pair sorted, with every reason."""


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


def mask_rows(steps: Sequence[str], pairs: Dependence) -> tuple[int, ...]:
    """For each step in order the mask of the steps that depend on it, itself included."""
    position = {name: index for index, name in enumerate(steps)}
    rows = [1 << index for index in range(len(steps))]
    for one, other in pairs:
        rows[position[one]] |= 1 << position[other]
        rows[position[other]] |= 1 << position[one]
    return tuple(rows)
