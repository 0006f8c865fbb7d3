"""Steps that are held, the pure part: when a step waits instead of being refused, and the turns of its release.

A held step is no event until it is released: it is one then, at the sequence of the release.
Source: `docs/deferred.md`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import orjson

from relmachine.errors import Code
from relmachine.kernel.answer import FollowUp
from relmachine.kernel.candidate import Candidate, Contributions
from relmachine.kernel.held_rows import HeldEndRow
from relmachine.kernel.joining import control_row
from relmachine.kernel.ledger import committed
from relmachine.kernel.lifecycle import ABORTED, COMMITTED, REFUSED
from relmachine.kernel.proposal import Proposal
from relmachine.kernel.state import ThreadState
from relmachine.kernel.turn import Turn
from relmachine.kernel.verdicts import Decided, GateName, Held, Refusal, Refused
from relmachine.machine.plan import Plan

_OF_REQUIRES = frozenset(("not_effective", "needs"))
"""The members of a refusal's witness that say what is missing; any other tells of another law."""


@dataclass(frozen=True, slots=True)
class HeldStep:
    """A step as it was held; its candidate has no contributions. `came` says that a merge brought a step of its key."""

    candidate: Candidate
    ended_at: int | None
    came: bool = False


def waits(plan: Plan, refused: Refused) -> bool:
    """Whether the step is held rather than refused: it defers, and nothing but missing claims speaks against it."""
    refusal, step = refused.refusal, plan.step(refused.candidate.step)
    if step is None or not step.defers or (refusal.gate, refusal.code) != (GateName.LAWS, Code.REQUIRES):
        return False
    return refusal.witness.keys() <= _OF_REQUIRES


def holding(plan: Plan, state: ThreadState, decided: Iterable[Decided], held_max: int) -> list[Decided]:
    """`decided` with the steps that wait held, as long as the thread has room for them."""
    room = held_max - len(state.waiting)
    found: list[Decided] = []
    for item in decided:
        if isinstance(item, Refused) and waits(plan, item):
            found.append(Held(item.candidate) if room > 0 else _crowded(item.candidate, held_max))
            room -= 1
        else:
            found.append(item)
    return found


def released(
    plan: Plan,
    state: ThreadState,
    record: Candidate,
    held: Candidate,
    contributions: Contributions,
    follow_ups: tuple[FollowUp, ...] = (),
) -> Proposal:
    """The turn of a release that every gate lets pass: the step becomes an event, and what it proposes leaves."""
    turn = _turn(plan, state, record)
    del turn.waiting[held.sequence]
    step = replace(held, sequence=record.sequence)
    source, event = turn.head, turn.extend(step, contributions)
    turn.settle(record.sequence, source)
    turn.propose(step, event, follow_ups)
    return _ended(turn, record, held, COMMITTED, committed(record.sequence, event, turn.head))


def dropped(plan: Plan, state: ThreadState, record: Candidate, held: Candidate, refusal: Refusal) -> Proposal:
    """The turn of a release by which the step is refused after all."""
    turn = _turn(plan, state, record)
    del turn.waiting[held.sequence]
    lifecycle = ABORTED if refusal.gate is GateName.ENGINE else REFUSED
    outcome = turn.ledger.rejected(replace(held, sequence=record.sequence), refusal, lifecycle)
    return _ended(turn, record, held, lifecycle, outcome)


def kept(plan: Plan, state: ThreadState, record: Candidate, held: Candidate) -> Proposal:
    """The turn of a release that comes too late or too early: what the step needs is missing still, or again."""
    turn = _turn(plan, state, record)
    turn.ledger.released(record, turn.head, {"outcome": "held", "sequence": held.sequence}, held=held)
    return replace(turn.proposal(), controls=(control_row(record),))


def expired(held: Candidate) -> Refusal:
    """Why a step is refused whose time is over."""
    sentence = f"what step {held.step!r} needs was missing for too long: publish it under a new id once it is there"
    return Refusal(Code.HELD_TOO_LONG, GateName.LAWS, sentence, {"held": held.sequence})


def came_by_merge(held: Candidate) -> Refusal:
    """Why a step is refused whose key a merge brought: it is an event of the thread already."""
    sentence = "a step of this (source, id) came into the thread by a merge: there is nothing left to do"
    return Refusal(Code.ID_CONFLICT, GateName.LAWS, sentence, {"step_key": held.step_key})


def _turn(plan: Plan, state: ThreadState, record: Candidate) -> Turn:
    turn = Turn(plan, state)
    turn.cursor = record.sequence
    return turn


def _ended(turn: Turn, record: Candidate, held: Candidate, lifecycle: str, outcome: dict[str, object]) -> Proposal:
    turn.ledger.released(record, turn.head, outcome, held=held)
    end = HeldEndRow(record.thread, held.sequence, record.sequence, lifecycle, orjson.dumps(outcome).decode())
    return replace(turn.proposal(), controls=(control_row(record),), held_ends=(end,))


def _crowded(candidate: Candidate, held_max: int) -> Refused:
    sentence = f"{held_max} steps of this thread wait already: publish what they need first (`relm held` shows it)"
    return Refused(candidate, Refusal(Code.LIMIT_EXCEEDED, GateName.LAWS, sentence, {"held_per_thread_max": held_max}))
