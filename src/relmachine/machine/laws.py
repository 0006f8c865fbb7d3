"""The static check: every law of a declaration, decided and witnessed. It never raises for a broken machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from relmachine.machine.declaration import Declaration
from relmachine.machine.laws_of_claims import (
    claims_asserted,
    confirmation_apart,
    footprint_consistent,
    ground_kept,
    independence_true,
    nuclei_commute,
    requires_acyclic,
)
from relmachine.machine.laws_of_names import (
    ingest_known,
    names_apart,
    names_valid,
    not_empty,
    references_known,
)
from relmachine.machine.laws_of_own import own_laws_sound
from relmachine.machine.laws_of_runs import budget_sound, closures_run, confirmation_computed
from relmachine.machine.laws_of_tables import tables_lawful
from relmachine.machine.laws_of_values import members_fit, payload_closed, reducer_fits
from relmachine.machine.laws_of_waiting import deferral_sound
from relmachine.machine.report import Finding, Law, LawVerdict, Report, Verdict

_WARNINGS = frozenset((Law.CONFIRMATION_APART, Law.CONFIRMATION_COMPUTED))

_CHECKS: Mapping[Law, Callable[[Declaration], Iterator[Finding]]] = {
    Law.NAMES_VALID: names_valid,
    Law.NAMES_APART: names_apart,
    Law.NOT_EMPTY: not_empty,
    Law.REFERENCES_KNOWN: references_known,
    Law.REQUIRES_ACYCLIC: requires_acyclic,
    Law.CLAIMS_ASSERTED: claims_asserted,
    Law.FOOTPRINT_CONSISTENT: footprint_consistent,
    Law.GROUND_KEPT: ground_kept,
    Law.NUCLEI_COMMUTE: nuclei_commute,
    Law.TABLES_LAWFUL: tables_lawful,
    Law.INDEPENDENCE_TRUE: independence_true,
    Law.REDUCER_FITS: reducer_fits,
    Law.MEMBERS_FIT: members_fit,
    Law.PAYLOAD_CLOSED: payload_closed,
    Law.CLOSURES_RUN: closures_run,
    Law.DEFERRAL_SOUND: deferral_sound,
    Law.BUDGET_SOUND: budget_sound,
    Law.OWN_LAWS_SOUND: own_laws_sound,
    Law.INGEST_KNOWN: ingest_known,
    Law.CONFIRMATION_APART: confirmation_apart,
    Law.CONFIRMATION_COMPUTED: confirmation_computed,
}


def check(declaration: Declaration) -> Report:
    """Every law with its verdict, in the order of `Law`."""
    return Report(declaration.name, tuple(_verdict(declaration, law) for law in Law))


def _verdict(declaration: Declaration, law: Law) -> LawVerdict:
    noted = [Finding(item.sentence, item.witness) for item in declaration.problems if item.law is law]
    decide = _CHECKS.get(law)
    findings = (*noted, *(decide(declaration) if decide else ()))
    if not findings:
        return LawVerdict(law, Verdict.PASS)
    return LawVerdict(law, Verdict.WARNING if law in _WARNINGS else Verdict.FAIL, findings)
