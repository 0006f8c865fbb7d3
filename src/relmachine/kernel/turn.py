"""A turn under way: the state under change, and the rows of the histories it goes through. Source: `docs/math.md`
sections 1 to 3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import orjson

from relmachine.algebra.frontier import Frontier
from relmachine.algebra.identity import contributions_digest, event_id, hash_of, history_id, set_add, set_digest
from relmachine.kernel.answer import FollowUp
from relmachine.kernel.candidate import Candidate, Contributions
from relmachine.kernel.event_rows import ClaimRow, ContributionRow, EventRow, ExtensionRow, HistoryRow, ThreadEventRow
from relmachine.kernel.follow_ups import follow_up_body, release_body
from relmachine.kernel.following import passed_on
from relmachine.kernel.held_rows import HeldRow
from relmachine.kernel.ledger import Ledger
from relmachine.kernel.lifecycle import COMMITTED
from relmachine.kernel.outcome_rows import TransitionRow
from relmachine.kernel.proposal import Proposal
from relmachine.kernel.standing import fiber_of, settled, support, touches
from relmachine.kernel.state import ThreadState
from relmachine.machine.plan import Plan, Reducer, StepPlan

_PASSED = '{"shape":"pass","policy":"pass","laws":"pass"}'


class Turn:
    """One thread's turn under way: the state under change, and the rows of the histories it goes through."""

    def __init__(self, plan: Plan, state: ThreadState) -> None:
        self.plan, self.before = plan, state
        self.cursor, self.head, self.depth, self.section = state.cursor, state.head, state.depth, state.section
        self.asserted, self.standing, self.vetoed = state.asserted, state.standing, state.vetoed
        self.frontier = Frontier(plan.dependent, state.lasts, state.frontier, state.tier)
        self.values = dict(state.values)
        self.settled = settled(plan, state.alive)
        self.ledger = Ledger(state.thread)
        self.events: list[EventRow] = []
        self.thread_events: list[ThreadEventRow] = []
        self.histories: list[HistoryRow] = []
        self.extensions: list[ExtensionRow] = []
        self.claims: list[ClaimRow] = []
        self.contributions: list[ContributionRow] = []
        self.fibers: list[int] = []
        self.waiting = dict(state.waiting)
        self.held: list[HeldRow] = []

    def commit(self, candidate: Candidate, contributions: Contributions) -> str:
        """The step becomes an event, whose id is returned: the history grows by it, and what that settles is told."""
        source, event = self.head, self.extend(candidate, contributions)
        self.settle(candidate.sequence, source)
        self.ledger.committed(candidate, event, self.head)
        return event

    def propose(self, candidate: Candidate, event: str, follow_ups: Sequence[FollowUp]) -> None:
        """Steps that the event proposes for its thread leave after the commit, and pass the gates as any others do."""
        following = passed_on(candidate, len(follow_ups))
        self.ledger.follow_ups += [
            follow_up_body(candidate, event, place, item.step, item.data, following)
            for place, item in enumerate(follow_ups)
        ]

    def hold(self, candidate: Candidate) -> None:
        """The step waits for what it needs."""
        number = self.plan.step_index[candidate.step]
        missing = self.plan.claim_names(support(self.plan, number) & ~self.alive)
        self.waiting[candidate.sequence] = number
        content = (candidate.step, candidate.step_key, candidate.payload, candidate.payload_digest)
        at = (candidate.thread, candidate.sequence)
        self.held.append(HeldRow(*at, *content, orjson.dumps(missing).decode(), candidate.evidence()))
        self.ledger.held(candidate)

    @property
    def alive(self) -> int:
        """Mask of claims standing and not vetoed."""
        return self.standing & ~self.vetoed

    def _release(self, candidate: Candidate, event: str, alive: int) -> None:
        """Records leave for the steps that waited while `alive` was all there is, and need not wait now."""
        for sequence, number in self.waiting.items():
            needed = support(self.plan, number)
            if needed & ~alive and not needed & ~self.alive:
                self.ledger.follow_ups.append(release_body(candidate, event, sequence))

    def extend(self, candidate: Candidate, contributions: Contributions) -> str:
        """Append the event: its id, its place in the history, what it touches. Returns the id."""
        step = self.plan.steps[self.plan.step_index[candidate.step]]
        event = self._append(candidate, step, contributions)
        alive = self.alive
        self._touch(step, event.event_id)
        if self.waiting:
            self._release(candidate, event.event_id, alive)
        self._contribute(event, contributions)
        source, maximal = self.head, self.frontier.maximal_ids()
        self.head = history_id(self.before.genesis, maximal)
        self.depth += 1
        self.fibers.append(self.asserted)
        self._record(candidate, event, source, maximal)
        return event.event_id

    def _append(self, candidate: Candidate, step: StepPlan, contributions: Contributions) -> EventRow:
        place = self.frontier.place(step.index)
        genesis = self.before.genesis
        written = contributions_digest(self.plan.claim_names(step.asserts), contributions)
        identity = event_id(genesis, step.name, candidate.step_key, candidate.payload_digest, written, place.parents)
        self.frontier.push(place, identity)
        event = EventRow(
            identity,
            genesis,
            step.name,
            candidate.step_key,
            place.tier,
            candidate.payload,
            candidate.payload_digest,
            written,
            orjson.dumps(place.parents).decode(),
            self.plan.digest,
            COMMITTED,
            _PASSED,
        )
        self.events.append(event)
        return event

    def _touch(self, step: StepPlan, event: str) -> None:
        self.asserted |= step.asserts
        self.standing = (self.standing | step.asserts) & ~step.contests
        self.vetoed |= step.vetoes
        self.claims += [ClaimRow(event, claim, touch) for claim, touch in touches(self.plan, step.index)]

    def _contribute(self, event: EventRow, contributions: Contributions) -> None:
        for name, value in contributions:
            self.contributions.append(ContributionRow(event.event_id, name, value))
            if self.plan.fields[name].reducer is Reducer.ONCE:
                self.values[name] = value
        if contributions:
            self.section = set_add(self.section, hash_of(event.event_id), event.contributions_digest)

    def _record(self, candidate: Candidate, event: EventRow, source: str, maximal: list[str]) -> None:
        thread, fiber = self.before.thread, fiber_of(self.plan, self.asserted)
        self.thread_events.append(
            ThreadEventRow(thread, candidate.sequence, event.event_id, self.head, candidate.evidence())
        )
        self.histories.append(
            HistoryRow(
                self.head,
                self.depth,
                self.frontier.tier,
                orjson.dumps(maximal).decode(),
                fiber.fiber_id,
                set_digest(self.section),
            )
        )
        self.extensions.append(ExtensionRow(source, self.head, event.step))

    def settle(self, sequence: int, source: str) -> None:
        """Tell what has been settled and superseded since the history `source`, by the message at `sequence`."""
        now = settled(self.plan, self.alive)
        changes: tuple[tuple[Literal["newly", "superseded"], int], ...] = (
            ("newly", now & ~self.settled),
            ("superseded", self.settled & ~now),
        )
        for kind, mask in changes:
            if mask:
                self.ledger.transitions.extend(
                    TransitionRow(self.before.thread, sequence, name, kind, source, self.head)
                    for name in self.plan.claim_names(mask)
                )
        self.settled = now

    def proposal(self) -> Proposal:
        """The rows gathered, with the state they lead to."""
        after = replace(
            self.before,
            head=self.head,
            cursor=self.cursor,
            depth=self.depth,
            tier=self.frontier.tier,
            asserted=self.asserted,
            standing=self.standing,
            vetoed=self.vetoed,
            frontier=self.frontier.maximal,
            lasts=self.frontier.lasts,
            values=self.values,
            section=self.section,
            waiting=self.waiting,
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
            receipts=tuple(self.ledger.receipts),
            rejections=tuple(self.ledger.rejections),
            transitions=tuple(self.ledger.transitions),
            outbox=tuple(self.ledger.outbox(self.before.cursor, self.cursor, self.head)),
            fibers=tuple(self.fibers),
            held=tuple(self.held),
        )
