"""Stored steps as the turn decided them: what was admitted with its contributions, what was refused and why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import cast

import orjson

from relmachine.algebra.identity import payload_digest
from relmachine.errors import Code
from relmachine.kernel.candidate import Candidate
from relmachine.kernel.ledger import WITNESS_CHARACTERS_MAX
from relmachine.kernel.recorded import recorded
from relmachine.kernel.verdicts import Admitted, GateName, Refusal, Refused
from relmachine.machine.own_law import principals_read
from relmachine.machine.plan import Plan, Reducer
from relmachine.store import tables
from relmachine.store.verify.fault import Fault, reason, shown
from relmachine.store.verify.steps import StoredStep

_ADMISSION = frozenset({Code.REQUIRES, Code.CONTEST_ABSENT, Code.VETO_TOO_LATE, Code.ONCE})
_DIGEST = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Told:
    """A stored step and what the turn had decided of it, or why its rows do not tell.

    `by_admission` says whether gate 3's admission decides it; `once` is what it then offers for `once` fields. Of a
    refused step only the refused offers are kept, which are all that its refusal depends on. `doubt` is what speaks
    against a step whose rows agree with each other.
    """

    step: StoredStep
    decided: Admitted | Refused | Fault
    by_admission: bool = False
    once: Mapping[str, str] = field(default_factory=dict[str, str])
    doubt: Fault | None = None


def told(plans: Mapping[str, Plan], newest: Plan, step: StoredStep) -> Told:
    """`step` as its turn had decided it; `plans` by digest. A refused step does not say under which plan it was."""
    try:
        return _admitted(plans, step) if step.event else _refused(newest, step)
    except Exception as error:  # a damaged row may break the reading of it anywhere
        return Told(step, fault_at(step, "the event cannot be computed again", "", reason(error)))


def fault_at(step: StoredStep, differs: str, stored: object, computed: object) -> Fault:
    """A fault of this step."""
    event = shown(step.event.get("event_id") or "")
    return Fault(step.thread, step.sequence, event, differs, shown(stored), shown(computed))


def is_cut(witness: Mapping[str, object]) -> bool:
    """Whether the witness was too long to be kept whole."""
    text = witness.get("cut")
    return len(witness) == 1 and isinstance(text, str) and len(text) == WITNESS_CHARACTERS_MAX


def _admitted(plans: Mapping[str, Plan], step: StoredStep) -> Told:
    event = cast(dict[str, str], step.event)
    plan = plans[event["plan_digest"]]
    kind = plan.steps[plan.step_index[event["step"]]]
    bare = Candidate(step.sequence, step.thread, event["step"], event["step_key"], event["payload"], "")
    known = bare.known(cast(str, step.rows[tables.THREAD_EVENTS][0][4]))
    named = event["step"] in principals_read(plan.own_laws)
    candidate = replace(known, payload_digest=payload_digest(known.payload, known.principal if named else None))
    written = tuple((cast(str, row[1]), cast(str, row[2])) for row in step.rows[tables.CONTRIBUTIONS])
    # The function of a computed step is not known here.
    expected = list(recorded(kind, event["payload"])) if kind.recorded else None
    once = {name: value for name, value in written if plan.fields[name].reducer is Reducer.ONCE}
    told = Told(step, Admitted(candidate, written), True, once)
    if any(name not in kind.writes for name, _ in written) or (expected is not None and expected != sorted(written)):
        said = sorted(kind.writes) if expected is None else expected
        return replace(told, doubt=fault_at(step, "contributions: not what the step writes", written, said))
    return told


def _refused(plan: Plan, step: StoredStep) -> Told:
    row = cast(dict[str, str], dict(zip(tables.REJECTIONS.columns, step.rows[tables.REJECTIONS][0], strict=True)))
    witness = cast(dict[str, object], orjson.loads(row["witness"]))
    refusal = Refusal(Code(row["code"]), GateName(row["gate"]), row["sentence"], witness)
    wrong = _unlikely(step, row, refusal)
    if wrong is not None:
        return Told(step, wrong)
    # The payload of a refused step is not kept; its digest is, where the step has a key of its own.
    own = step.rows[tables.RECEIPTS]
    payload_digest = cast(str, own[0][3]) if own else ""
    keyed = _keyed(row, refusal)
    candidate = Candidate(step.sequence, step.thread, row["step"], row["step_key"], "", payload_digest)
    refused = Refused(candidate, refusal, keyed)
    cut = is_cut(witness)
    if refusal.gate is not GateName.LAWS or refusal.code not in _ADMISSION or (cut and refusal.code is Code.ONCE):
        return Told(step, refused)
    if plan.step(row["step"]) is None:
        return Told(step, fault_at(step, "rejections.step: no such step", row["step"], ""))
    offers = () if cut else cast("list[dict[str, str]]", witness.get("once", ()))
    return Told(step, refused, True, {offer["field"]: offer["offered"] for offer in offers})


def _keyed(row: Mapping[str, str], refusal: Refusal) -> bool:
    """Whether the refusal answers for its step key: one without a readable key, or with another step's, does not."""
    return bool(row["step_key"]) and refusal.code is not Code.ID_CONFLICT


def _unlikely(step: StoredStep, row: Mapping[str, str], refusal: Refusal) -> Fault | None:
    """What no turn would have written as a refusal."""
    if orjson.dumps(refusal.witness).decode() != row["witness"] or not (
        len(row["witness"]) <= WITNESS_CHARACTERS_MAX or is_cut(refusal.witness)
    ):
        return fault_at(step, "rejections.witness: no canonical JSON, or too long", row["witness"], "")
    for receipt in step.rows[tables.RECEIPTS]:
        if not _DIGEST.fullmatch(cast(str, receipt[3])):
            return fault_at(step, "receipts.payload_digest", receipt[3], "64 hexadecimal characters")
    if not _keyed(row, refusal) and refusal.gate is not GateName.SHAPE:
        return fault_at(step, "rejections.gate: a refusal without a key", row["gate"], GateName.SHAPE)
    if refusal.code is Code.ID_CONFLICT and not is_cut(refusal.witness):
        found = [(row["step_key"], receipt[4], receipt[2]) for receipt in step.earlier]
        said = tuple(refusal.witness.get(name) for name in ("step_key", "first_sequence", "first_step"))
        if found != [said]:
            return fault_at(step, "rejections.witness: the step that has the key", said, found)
    return None
