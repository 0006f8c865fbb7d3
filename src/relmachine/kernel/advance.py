"""The pure turn: from a thread's state and decided steps to a proposal. No I/O, no clock, nothing decided here.

Source: `docs/math.md` sections 1 to 3. Cost per step does not depend on the length of the history.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import orjson

from relmachine.algebra.identity import digest, event_id, history_id, set_add, set_digest
from relmachine.kernel.envelope import Candidate
from relmachine.kernel.lifecycle import ABORTED, COMMITTED, REFUSED
from relmachine.kernel.proposal import (
    ClaimRow,
    ContributionRow,
    EventRow,
    ExtensionRow,
    HistoryRow,
    OutboxRow,
    Proposal,
    ReceiptRow,
    RejectionRow,
    ThreadEventRow,
    TransitionRow,
)
from relmachine.kernel.standing import fiber_of, settled
from relmachine.kernel.state import LastEvent, ThreadState
from relmachine.kernel.verdicts import Admitted, Decided, GateName, Refused, Repeated
from relmachine.machine.plan import Plan, Reducer, StepPlan

_PASSED = '{"shape":"pass","policy":"pass","laws":"pass"}'


def advance(plan: Plan, state: ThreadState, decided: Sequence[Decided]) -> Proposal:
    """The proposal that decides `decided`, steps of one thread in subject order, all after `state.cursor`.

    Every step gets exactly one outcome. The same arguments give the same proposal, on any node, any number of times.
    """
    turn = _Turn(plan, state)
    for item in decided:
        assert item.candidate.sequence > turn.cursor, "steps of a turn come in subject order, after the cursor"
        match item:
            case Admitted(candidate, contributions):
                turn.commit(candidate, contributions)
            case Refused():
                turn.refuse(item)
            case Repeated(candidate, sequence):
                turn.note(candidate, {"outcome": "repeated", "sequence": sequence})
        turn.cursor = item.candidate.sequence
    return turn.proposal()


def contributions_digest(plan: Plan, step: StepPlan, contributions: Sequence[tuple[str, str]]) -> str:
    """Digest of what an event wrote and asserted (math.md section 1)."""
    flat = [part for pair in sorted(contributions) for part in pair]
    return digest("contributions", *plan.claim_names(step.asserts), "", *flat)


def covering(plan: Plan, state_lasts: dict[int, LastEvent], step: StepPlan) -> tuple[int, int]:
    """Masks of steps: those whose last event the next event of type `step` covers, and all that lie below it."""
    candidates = plan.dependent[step.index]
    present = below = hidden = 0
    for index, last in state_lasts.items():
        if candidates >> index & 1:
            present |= 1 << index
            below |= last.past
            hidden |= last.past & ~(1 << index)
    return present & ~hidden, below


class _Turn:
    """The state under change and the rows gathered so far."""

    def __init__(self, plan: Plan, state: ThreadState) -> None:
        self.plan, self.before = plan, state
        self.cursor, self.head = state.cursor, state.head
        self.depth, self.tier, self.section = state.depth, state.tier, state.section
        self.asserted, self.standing, self.vetoed = state.asserted, state.standing, state.vetoed
        self.frontier, self.lasts, self.values = state.frontier, dict(state.lasts), dict(state.values)
        self.settled = settled(plan, state.alive)
        self.events: list[EventRow] = []
        self.thread_events: list[ThreadEventRow] = []
        self.histories: list[HistoryRow] = []
        self.extensions: list[ExtensionRow] = []
        self.claims: list[ClaimRow] = []
        self.contributions: list[ContributionRow] = []
        self.receipts: list[ReceiptRow] = []
        self.rejections: list[RejectionRow] = []
        self.transitions: list[TransitionRow] = []
        self.journal: list[dict[str, object]] = []
        self.fibers: list[int] = []

    def commit(self, candidate: Candidate, contributions: tuple[tuple[str, str], ...]) -> None:
        """Append the event: its id, its place in the history, what it touches and what that settles."""
        step = self.plan.steps[self.plan.step_index[candidate.step]]
        event = self._event(candidate, step, contributions)
        self._touch(step, event)
        self._contribute(event, contributions)
        source, self.head = self.head, self._history_id()
        self.depth += 1
        self.fibers.append(self.asserted)
        self._record_history(candidate, event, source)
        self._transitions(candidate.sequence, source)
        outcome = {
            "outcome": "committed",
            "sequence": candidate.sequence,
            "event": event.event_id,
            "history": self.head,
        }
        self._receipt(candidate, outcome)
        self.note(candidate, outcome)

    def refuse(self, item: Refused) -> None:
        """Record the refusal; nothing else changes."""
        candidate, refusal = item.candidate, item.refusal
        lifecycle = ABORTED if refusal.gate is GateName.ENGINE else REFUSED
        self.rejections.append(
            RejectionRow(
                self.before.thread,
                candidate.sequence,
                candidate.step,
                candidate.step_key,
                refusal.gate,
                refusal.code,
                refusal.sentence,
                orjson.dumps(dict(refusal.witness), default=str).decode(),
                lifecycle,
            )
        )
        outcome = {
            "outcome": "refused",
            "sequence": candidate.sequence,
            "gate": refusal.gate,
            "code": refusal.code,
            "sentence": refusal.sentence,
        }
        if item.keyed and candidate.step_key:
            self._receipt(candidate, outcome)
        self.note(candidate, outcome)

    def note(self, candidate: Candidate, outcome: dict[str, object]) -> None:
        """Put the outcome of a stream sequence into the journal."""
        self.journal.append({"at": candidate.sequence, "step": candidate.step, "key": candidate.step_key, **outcome})

    def _event(self, candidate: Candidate, step: StepPlan, contributions: tuple[tuple[str, str], ...]) -> EventRow:
        covers, below = covering(self.plan, self.lasts, step)
        parents = sorted(last.event_id for index, last in self.lasts.items() if covers >> index & 1)
        tier = 1 + max((last.tier for index, last in self.lasts.items() if covers >> index & 1), default=0)
        written = contributions_digest(self.plan, step, contributions)
        identity = event_id(
            self.before.genesis, step.name, candidate.step_key, candidate.payload_digest, written, parents
        )
        self._place(step, LastEvent(identity, tier, below | 1 << step.index))
        event = EventRow(
            identity,
            self.before.genesis,
            step.name,
            candidate.step_key,
            tier,
            candidate.payload,
            candidate.payload_digest,
            written,
            orjson.dumps(parents).decode(),
            self.plan.digest,
            COMMITTED,
            _PASSED,
        )
        self.events.append(event)
        return event

    def _place(self, step: StepPlan, last: LastEvent) -> None:
        """Make `last` the last event of its type: no other last event lies above it yet."""
        bit = 1 << step.index
        for index, other in self.lasts.items():
            if other.past & bit and index != step.index:
                self.lasts[index] = LastEvent(other.event_id, other.tier, other.past & ~bit)
        self.lasts[step.index] = last
        self.frontier = self.frontier & ~self.plan.dependent[step.index] | bit
        self.tier = max(self.tier, last.tier)

    def _touch(self, step: StepPlan, event: EventRow) -> None:
        self.asserted |= step.asserts
        self.standing = (self.standing | step.asserts) & ~step.contests
        self.vetoed |= step.vetoes
        for touch, mask in (("assert", step.asserts), ("contest", step.contests), ("veto", step.vetoes)):
            if mask:
                self.claims.extend(ClaimRow(event.event_id, name, touch) for name in self.plan.claim_names(mask))

    def _contribute(self, event: EventRow, contributions: tuple[tuple[str, str], ...]) -> None:
        for name, value in contributions:
            self.contributions.append(ContributionRow(event.event_id, name, value))
            if self.plan.fields[name].reducer is Reducer.ONCE:
                self.values[name] = value
        if contributions:
            self.section = set_add(self.section, event.event_id, event.contributions_digest)

    def _maximal(self) -> list[str]:
        return sorted(last.event_id for index, last in self.lasts.items() if self.frontier >> index & 1)

    def _history_id(self) -> str:
        return history_id(self.before.genesis, self._maximal())

    def _record_history(self, candidate: Candidate, event: EventRow, source: str) -> None:
        thread = self.before.thread
        evidence = {
            "principal": candidate.principal,
            "time": candidate.time,
            "traceparent": candidate.traceparent,
        }
        present = {key: value for key, value in evidence.items() if value is not None}
        self.thread_events.append(
            ThreadEventRow(thread, candidate.sequence, event.event_id, self.head, orjson.dumps(present).decode())
        )
        self.histories.append(
            HistoryRow(
                self.head,
                self.depth,
                self.tier,
                orjson.dumps(self._maximal()).decode(),
                fiber_of(self.plan, self.asserted).fiber_id,
                set_digest(self.section),
            )
        )
        self.extensions.append(ExtensionRow(source, self.head, event.step))

    def _transitions(self, sequence: int, source: str) -> None:
        now = settled(self.plan, self.standing & ~self.vetoed)
        changes: tuple[tuple[Literal["newly", "superseded"], int], ...] = (
            ("newly", now & ~self.settled),
            ("superseded", self.settled & ~now),
        )
        for kind, mask in changes:
            if mask:
                self.transitions.extend(
                    TransitionRow(self.before.thread, sequence, name, kind, source, self.head)
                    for name in self.plan.claim_names(mask)
                )
        self.settled = now

    def _receipt(self, candidate: Candidate, outcome: dict[str, object]) -> None:
        self.receipts.append(
            ReceiptRow(
                self.before.thread,
                candidate.step_key,
                candidate.step,
                candidate.payload_digest,
                candidate.sequence,
                orjson.dumps(outcome).decode(),
            )
        )

    def proposal(self) -> Proposal:
        """The rows gathered, with the state they lead to."""
        after = replace(
            self.before,
            head=self.head,
            cursor=self.cursor,
            depth=self.depth,
            tier=self.tier,
            asserted=self.asserted,
            standing=self.standing,
            vetoed=self.vetoed,
            frontier=self.frontier,
            lasts=self.lasts,
            values=self.values,
            section=self.section,
        )
        return Proposal(
            before=self.before,
            after=after,
            events=tuple(self.events),
            thread_events=tuple(self.thread_events),
            histories=tuple(self.histories),
            extensions=tuple(self.extensions),
            claims=tuple(self.claims),
            contributions=tuple(self.contributions),
            receipts=tuple(self.receipts),
            rejections=tuple(self.rejections),
            transitions=tuple(self.transitions),
            outbox=tuple(self._outbox()),
            fibers=tuple(self.fibers),
        )

    def _outbox(self) -> list[OutboxRow]:
        """One message per feed and turn: what became of each sequence, what settled, what was refused."""
        thread, cursor = self.before.thread, self.cursor
        frame = {
            "thread": thread,
            "from_sequence": self.before.cursor,
            "to_sequence": cursor,
            "history": self.head,
        }
        feeds: tuple[tuple[Literal["journal", "out", "rejected"], str, list[dict[str, object]]], ...] = (
            ("journal", "outcomes", self.journal),
            ("out", "transitions", [row._asdict() for row in self.transitions]),
            ("rejected", "rejections", [row._asdict() for row in self.rejections]),
        )
        return [
            OutboxRow(thread, cursor, kind, orjson.dumps({**frame, name: items}).decode())
            for kind, name, items in feeds
            if items
        ]
