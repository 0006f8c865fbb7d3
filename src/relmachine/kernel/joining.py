"""Events of another thread become part of this one, by a fork or a merge: the pure part.

An event keeps its id wherever it is: the id contains its genesis and its past, which both threads share. So joining is
appending again, and what comes out must be what went in.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from relmachine.algebra.identity import history_id
from relmachine.errors import Code, RelmError
from relmachine.kernel.candidate import Candidate, Contributions
from relmachine.kernel.control_rows import ControlRow, ObstructionRow, ResolutionRow
from relmachine.kernel.proposal import Proposal
from relmachine.kernel.state import ThreadState, initial_state
from relmachine.kernel.turn import Turn
from relmachine.kernel.verdicts import Refused, Repeated
from relmachine.machine.plan import Plan


@dataclass(frozen=True, slots=True)
class PastEvent:
    """A committed event: all that is needed to append it again. `evidence` is the text beside it in its thread."""

    event_id: str
    step: str
    step_key: str
    payload_digest: str
    parents: tuple[str, ...]
    evidence: str
    contributions: Contributions

    def candidate(self, thread: str, sequence: int) -> Candidate:
        """The step as it becomes part of `thread` at `sequence`. Its payload stays where it is stored."""
        bare = Candidate(sequence, thread, self.step, self.step_key, "", self.payload_digest)
        return bare.known(self.evidence)


class Joining(Turn):
    """The turn of a record that appends `events` to `state`, which has none of them, in an order that respects them.

    Keys in `known` have a receipt in the thread already and keep it. What is settled is told once, for the whole.
    Errors: `internal` when an event does not come out with the id that it has: the plan is not the one it was made by.
    """

    def __init__(
        self, plan: Plan, state: ThreadState, sequence: int, events: Sequence[PastEvent], known: Collection[str] = ()
    ) -> None:
        super().__init__(plan, state)
        self.cursor = sequence
        for place, event in enumerate(events):
            candidate = event.candidate(state.thread, sequence)
            found = self.extend(candidate, event.contributions)
            if found != event.event_id:
                sentence = "an event joined to another thread has another id there: `relm verify` tells what is damaged"
                raise RelmError(Code.INTERNAL, sentence, event=event.event_id, computed=found)
            self.thread_events[-1] = self.thread_events[-1]._replace(place=place)
            if event.step_key not in known:
                self.ledger.joined(candidate, found, self.head)
        self.settle(sequence, state.head)

    def applied(self, record: Candidate, details: Mapping[str, object]) -> Proposal:
        """The proposal, with the record that it belongs to. The events are in the store already, and stay as they are.

        Not meant for the constraint gate, which wants to see the events: that looks at `proposal()`.
        """
        self.ledger.applied(record, self.head, details)
        whole = replace(self.proposal(), events=(), claims=(), contributions=())
        return replace(whole, controls=(control_row(record),))


def forked_state(plan: Plan, thread: str, genesis: str) -> ThreadState:
    """The empty history of `genesis`, as the state that a fork called `thread` is built up from."""
    return replace(initial_state(plan, thread), genesis=genesis, head=history_id(genesis, ()))


def alone(
    plan: Plan,
    state: ThreadState,
    record: Candidate,
    details: Mapping[str, object] | None,
    *,
    closed: str = "",
    resolutions: tuple[ResolutionRow, ...] = (),
) -> Proposal:
    """The proposal of a record that takes effect and adds no event."""
    turn = Turn(plan, state)
    turn.cursor = record.sequence
    turn.ledger.applied(record, turn.head, details or {})
    made = turn.proposal()
    after = replace(made.after, closed=closed or state.closed)
    return replace(made, after=after, controls=(control_row(record),), resolutions=resolutions)


def without_effect(
    plan: Plan, state: ThreadState, decided: Refused | Repeated, obstructions: tuple[ObstructionRow, ...] = ()
) -> Proposal:
    """The proposal of a record that was refused, or repeats an earlier one; with what stands in its way."""
    turn = Turn(plan, state)
    if isinstance(decided, Refused):
        turn.ledger.refused(decided)
    else:
        turn.ledger.repeated(decided)
    turn.cursor = decided.candidate.sequence
    return replace(turn.proposal(), obstructions=obstructions)


def control_row(record: Candidate) -> ControlRow:
    """The row of a record that took effect."""
    return ControlRow(record.thread, record.sequence, record.step, record.step_key, record.payload, record.evidence())
