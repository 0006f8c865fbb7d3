"""Where a run that is carried out again differs from its record. Pure comparisons."""

from __future__ import annotations

from dataclasses import dataclass

from relmachine.engine.runs.decisions import seal_of
from relmachine.kernel.answer import Decision


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs, and both sides."""

    what: str
    recorded: str
    found: str


def question_differs(recorded: Decision, kind: str, asked: str) -> Difference | None:
    """Whether the decision was edited, or answers another question than is asked now."""
    if recorded.seal != seal_of(recorded):
        return Difference("the decision was edited", recorded.seal, seal_of(recorded))
    if (recorded.kind, recorded.asked) != (kind, asked):
        return Difference("something else is asked", f"{recorded.kind} {recorded.asked}", f"{kind} {asked}")
    return None


def answer_differs(recorded: Decision | None, decision: Decision) -> Difference | None:
    """Whether something else came than is recorded, for a run that is simulated anew."""
    if recorded is None:
        return Difference("the record ends here", "", f"{decision.kind} {decision.name}")
    if recorded.asked != decision.asked:
        return Difference("something else is asked", recorded.asked, decision.asked)
    if (recorded.value, recorded.error) != (decision.value, decision.error):
        return Difference("something else came", recorded.error or recorded.value, decision.error or decision.value)
    return None


def repeatable(recorded: Decision, kind: str, asked: str) -> bool:
    """Whether a simulation takes it from the record: times and ids are given, not answered."""
    return kind in ("time", "id") and recorded.asked == asked
