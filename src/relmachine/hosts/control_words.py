"""What the decision on a control record can be besides a proposal, and the refusals that several rules share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from relmachine.errors import Code
from relmachine.kernel.candidate import Candidate
from relmachine.kernel.lane import CANCEL
from relmachine.kernel.lifecycle import turn_name
from relmachine.kernel.proposal import Proposal
from relmachine.kernel.state import ThreadState
from relmachine.kernel.transitions import EFFECTS, Standing
from relmachine.kernel.verdicts import GateName, Refusal, Refused

_STOPPED = {
    Standing.CANCELLED: "this thread was cancelled: publish on another, or fork this one at a history it had",
    Standing.CLOSED: "this thread was closed: publish on another, or fork this one at a history it had",
}


@dataclass(frozen=True, slots=True)
class Waits:
    """Another thread has yet to decide what comes before the record."""


def refused(record: Candidate, code: Code, sentence: str, **witness: object) -> Refused:
    """The record is not admitted by what its thread, or the other one, holds."""
    return Refused(record, Refusal(code, GateName.LAWS, sentence, witness))


def ended(state: ThreadState, candidate: Candidate) -> Refused | None:
    """Why a message that has a turn is refused where its thread stands; None while it goes on. A thread that is paused
    has no turns.
    """
    if not state.stopped and not state.closed:
        return None
    standing = Standing.CANCELLED if state.stopped == CANCEL else Standing.CLOSED
    code = EFFECTS[standing][turn_name(candidate.step)].code
    if code is None:
        return None
    if state.stopped:
        return refused(candidate, code, _STOPPED[standing])
    sentence = f"this thread was merged into {state.closed!r}: publish there, or fork this one at a history it had"
    return refused(candidate, code, sentence, into=state.closed)


def refuse_if_closed(state: ThreadState, steps: Sequence[Candidate]) -> list[Refused]:
    """The refusals of new steps of a thread that has ended; none while it goes on."""
    return [no for step in steps if (no := ended(state, step)) is not None]


def too_many(record: Candidate, events_max: int) -> Refused:
    """The record would join more events than one turn may."""
    sentence = f"at most {events_max} events can be joined by one record: fork or merge earlier, or raise the limit"
    return refused(record, Code.LIMIT_EXCEEDED, sentence, events_joined_max=events_max)


def began(proposal: Proposal, before: ThreadState) -> Proposal:
    """The proposal of a fork, which starts where the store knows the new thread: before its first message."""
    return replace(proposal, before=before)
