"""What the decision on a control record can be besides a proposal, and the refusals that several rules share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from relmachine.errors import Code
from relmachine.kernel.envelope import Candidate
from relmachine.kernel.lane import CANCEL
from relmachine.kernel.proposal import Proposal
from relmachine.kernel.state import ThreadState
from relmachine.kernel.verdicts import GateName, Refusal, Refused


@dataclass(frozen=True, slots=True)
class Waits:
    """Another thread has yet to decide what comes before the record."""


def refused(record: Candidate, code: Code, sentence: str, **witness: object) -> Refused:
    """The record is not admitted by what its thread, or the other one, holds."""
    return Refused(record, Refusal(code, GateName.LAWS, sentence, witness))


def closed(candidate: Candidate, into: str) -> Refused:
    """Nothing is admitted on a thread that was merged into another."""
    sentence = f"this thread was merged into {into!r}: publish there, or fork this one at a history it had"
    return refused(candidate, Code.THREAD_CLOSED, sentence, into=into)


def stopped(candidate: Candidate, record: str) -> Refused:
    """Nothing is admitted on a thread that was cancelled or closed on the control lane."""
    if record == CANCEL:
        sentence = "this thread was cancelled: publish on another, or fork this one at a history it had"
        return refused(candidate, Code.THREAD_CANCELLED, sentence)
    sentence = "this thread was closed: publish on another, or fork this one at a history it had"
    return refused(candidate, Code.THREAD_CLOSED, sentence)


def ended(state: ThreadState, candidate: Candidate) -> Refused | None:
    """Why nothing more is admitted on a thread; None while it goes on."""
    if state.stopped:
        return stopped(candidate, state.stopped)
    return closed(candidate, state.closed) if state.closed else None


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
