"""The report of `Machine.check`: every law of a declaration, its verdict, and the witnesses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Law(StrEnum):
    """The laws of a declaration, in the order reported; `meaning` says each in words."""

    NAMES_VALID = "names_valid"
    NAMES_UNIQUE = "names_unique"
    NAMES_APART = "names_apart"
    NOT_EMPTY = "not_empty"
    REFERENCES_KNOWN = "references_known"
    REQUIRES_ACYCLIC = "requires_acyclic"
    CLAIMS_ASSERTED = "claims_asserted"
    FOOTPRINT_CONSISTENT = "footprint_consistent"
    GROUND_KEPT = "ground_kept"
    NUCLEI_COMMUTE = "nuclei_commute"
    TABLES_LAWFUL = "tables_lawful"
    INDEPENDENCE_TRUE = "independence_true"
    REDUCER_FITS = "reducer_fits"
    MEMBERS_FIT = "members_fit"
    PAYLOAD_CLOSED = "payload_closed"
    CLOSURES_RUN = "closures_run"
    DEFERRAL_SOUND = "deferral_sound"
    BUDGET_SOUND = "budget_sound"
    OWN_LAWS_SOUND = "own_laws_sound"
    INGEST_KNOWN = "ingest_known"
    CONFIRMATION_APART = "confirmation_apart"
    CONFIRMATION_COMPUTED = "confirmation_computed"

    @property
    def meaning(self) -> str:
        """The law in words."""
        return _MEANING[self]


_MEANING: Mapping[Law, str] = {
    Law.NAMES_VALID: "no reserved words: names are [a-z][a-z0-9_]*, no Python keyword, no word of the wire",
    Law.NAMES_UNIQUE: "no duplicate names",
    Law.NAMES_APART: "no claim and field share a name",
    Law.NOT_EMPTY: "the machine has steps: an empty one can do nothing",
    Law.REFERENCES_KNOWN: "every claim, field and step referred to is declared: no unknown claim",
    Law.REQUIRES_ACYCLIC: "no cycle in requires",
    Law.CLAIMS_ASSERTED: "some step asserts each claim",
    Law.FOOTPRINT_CONSISTENT: "no step asserts a claim that it contests or vetoes",
    Law.GROUND_KEPT: "no step contests or vetoes what its own assertions rest on",
    Law.NUCLEI_COMMUTE: "no Derivation rests on a Procedure, or the reverse, without a Process between",
    Law.TABLES_LAWFUL: "tables given for fibers, nuclei and restrictions keep the laws, and fit the steps' kinds",
    Law.INDEPENDENCE_TRUE: "the footprints bear out every stated independence",
    Law.REDUCER_FITS: "each reducer fits its field's type",
    Law.MEMBERS_FIT: "each recorded payload member has its field's type",
    Law.PAYLOAD_CLOSED: "payload models refuse unknown members",
    Law.CLOSURES_RUN: "each closure belongs to a Process and takes (step: PayloadModel, view)",
    Law.DEFERRAL_SOUND: "a step that defers needs something, runs inside its turn, and is held for a time",
    Law.BUDGET_SOUND: "a thread's budget has room for something",
    Law.OWN_LAWS_SOUND: "each law of the author's own says what it guards and reads, and speaks of nothing else",
    Law.INGEST_KNOWN: "the log mapping names steps and source attributes that can exist",
    Law.CONFIRMATION_APART: "a Process does not assert a claim that another kind asserts too",
    Law.CONFIRMATION_COMPUTED: "a step that asks a model proposes no recorded Process that asserts a claim",
}


class Verdict(StrEnum):
    """What became of a law."""

    PASS = "pass"
    WARNING = "warning"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One place where a law does not hold: what to do about it, and the witness."""

    sentence: str
    witness: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class LawVerdict:
    """A law with its findings; it passes when there are none."""

    law: Law
    verdict: Verdict
    findings: tuple[Finding, ...] = ()

    def as_json(self) -> dict[str, object]:
        """The verdict as a JSON object."""
        return {
            "law": str(self.law),
            "meaning": self.law.meaning,
            "verdict": str(self.verdict),
            "findings": [{"sentence": found.sentence, "witness": dict(found.witness)} for found in self.findings],
        }


@dataclass(frozen=True, slots=True)
class Report:
    """Every law of one machine. `ok` when none fails; warnings do not count."""

    machine: str
    verdicts: tuple[LawVerdict, ...]

    @property
    def ok(self) -> bool:
        """Whether a plan can be made."""
        return not self.failed

    @property
    def failed(self) -> tuple[LawVerdict, ...]:
        """The laws that fail."""
        return tuple(item for item in self.verdicts if item.verdict is Verdict.FAIL)

    @property
    def warnings(self) -> tuple[LawVerdict, ...]:
        """The laws that warn."""
        return tuple(item for item in self.verdicts if item.verdict is Verdict.WARNING)

    def of(self, law: Law) -> LawVerdict:
        """The verdict of `law`."""
        return next(item for item in self.verdicts if item.law is law)

    def as_json(self) -> dict[str, object]:
        """The report as a JSON object."""
        return {"machine": self.machine, "ok": self.ok, "laws": [item.as_json() for item in self.verdicts]}
