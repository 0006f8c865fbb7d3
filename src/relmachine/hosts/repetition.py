"""Has this step been seen? Decided by its key, before any gate spends time on it (math.md section 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from relmachine.errors import Code
from relmachine.kernel.candidate import Candidate
from relmachine.kernel.verdicts import GateName, Refusal, Refused, Repeated
from relmachine.store.port import Receipt


@dataclass(slots=True)
class Sorted:
    """A thread's shaped steps: those already decided by sequence, and the fresh ones that go to gates 2 and 3."""

    decided: dict[int, Refused | Repeated] = field(default_factory=dict[int, Refused | Repeated])
    fresh: list[Candidate] = field(default_factory=list[Candidate])


def sort_out(thread: str, shaped: Sequence[Candidate | Refused], receipts: Mapping[tuple[str, str], Receipt]) -> Sorted:
    """Tell repeats and key conflicts, against the receipts and within the batch, from what is new."""
    result = Sorted()
    seen: dict[str, Receipt] = {}
    for item in shaped:
        candidate = item.candidate if isinstance(item, Refused) else item
        key = candidate.step_key
        first = seen.get(key) or receipts.get((thread, key)) if key else None
        if first is not None:
            result.decided[candidate.sequence] = recall(candidate, first)
            continue
        if key:
            seen[key] = Receipt(thread, key, candidate.step, candidate.payload_digest, candidate.sequence, "")
        if isinstance(item, Refused):
            result.decided[candidate.sequence] = item
        else:
            result.fresh.append(candidate)
    return result


def recall(candidate: Candidate, first: Receipt) -> Refused | Repeated:
    """What a step is whose key was seen before: a repeat of the same content, or a conflict."""
    if (first.step, first.payload_digest) == (candidate.step, candidate.payload_digest):
        return Repeated(candidate, first.sequence)
    refusal = Refusal(
        Code.ID_CONFLICT,
        GateName.SHAPE,
        "give a new step a new id: this (source, id) already belongs to another one",
        {"step_key": candidate.step_key, "first_sequence": first.sequence, "first_step": first.step},
    )
    return Refused(candidate, refusal, keyed=False)
