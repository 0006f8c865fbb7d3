"""Where a run that is carried out again diverges from its record. Pure comparisons; `place` counts decisions from 0."""

from __future__ import annotations

from relmachine.engine.runs.decisions import seal_of
from relmachine.engine.runs.port import Divergence
from relmachine.kernel.answer import Decision


def question_diverges(place: int, recorded: Decision, kind: str, asked: str) -> Divergence | None:
    """Whether the decision was edited, or answers another question than is asked now."""
    if recorded.seal != seal_of(recorded):
        return Divergence(place, "the decision was edited", recorded.seal, seal_of(recorded))
    if (recorded.kind, recorded.asked) != (kind, asked):
        there, here = f"{recorded.kind} {recorded.asked}", f"{kind} {asked}"
        return Divergence(place, "something else is asked", there, here)
    return None


def answer_diverges(place: int, recorded: Decision | None, decision: Decision) -> Divergence | None:
    """Whether something else came than is recorded."""
    if recorded is None:
        return Divergence(place, "the record ends here", "", f"{decision.kind} {decision.name}")
    if recorded.asked != decision.asked:
        return Divergence(place, "something else is asked", recorded.asked, decision.asked)
    if (recorded.value, recorded.error) != (decision.value, decision.error):
        there, here = recorded.error or recorded.value, decision.error or decision.value
        return Divergence(place, "something else came", there, here)
    return None


def given_again(recorded: Decision, kind: str, asked: str) -> bool:
    """Whether a simulation takes it from the record: times and ids are given, not answered."""
    return kind in ("time", "id") and recorded.asked == asked
