"""An answer that was given again, beside the one that is recorded. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from relmachine.engine.runs.decisions import seal_of
from relmachine.engine.runs.port import Divergence, Mode
from relmachine.errors import Code
from relmachine.kernel.answer import Answer, Reason

_ENDED_ELSEWHERE = frozenset({Reason.OVERTAKEN, Reason.CANCELLED})
"""Reasons that a run does not come to by itself."""


def repeatable(answer: Answer) -> bool:
    """Whether the run came to this answer by itself, and the answer has all that it saw."""
    cut = answer.failure is not None and answer.failure.code == Code.PAYLOAD_TOO_LARGE and not answer.decisions
    return answer.reason not in _ENDED_ELSEWHERE and not cut


def edited(answer: Answer) -> list[Divergence]:
    """The first decision that is not the one which was sealed; for runs that cannot be carried out to their end."""
    for place, decision in enumerate(answer.decisions):
        if decision.seal != (found := seal_of(decision)):
            return [Divergence(place, "the decision was edited", decision.seal, found)]
    return []


def differs(recorded: Answer, found: Answer, mode: Mode) -> list[Divergence]:
    """What the answers say: the state after each pass, why the run ended, what it contributes and proposes; of a
    playback what it spent, too. Seconds are those of a life, and not compared.
    """
    return list(_differs(recorded, found, mode))


def _differs(recorded: Answer, found: Answer, mode: Mode) -> Iterator[Divergence]:
    yield from _items("pass", recorded.passes, found.passes)
    if recorded.reason != found.reason:
        yield Divergence(0, "reason", recorded.reason, found.reason)
    for field in sorted({*recorded.contributions, *found.contributions}):
        one, other = recorded.contributions.get(field, ""), found.contributions.get(field, "")
        if one != other:
            yield Divergence(0, f"contribution to {field}", one, other)
    yield from _items("follow-up", recorded.follow_ups, found.follow_ups)
    if mode is Mode.PLAYBACK:
        for what, one, other in (
            ("failure", recorded.failure, found.failure),
            ("usage", _spent(recorded), _spent(found)),
        ):
            if one != other:
                yield Divergence(0, what, str(one or ""), str(other or ""))


def _items(what: str, recorded: Sequence[object], found: Sequence[object]) -> Iterator[Divergence]:
    """The first place where they differ: later ones follow from it."""
    for place, (one, other) in enumerate(zip_longest(recorded, found)):
        if one != other:
            yield Divergence(place, what, str(one or ""), str(other or ""))
            return


def _spent(answer: Answer) -> dict[str, object]:
    return answer.usage.model_dump(exclude={"seconds", "solver_seconds"})
