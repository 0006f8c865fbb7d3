"""Turns of steps that are not decided where they come: which turn a message takes, the one that opens a run, that of an
answer, or that of a release. Each is a turn of its own, decided from what the stream and the thread's history fix: who
runs the step, where and how often does not matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from relmachine.hosts.repetition import recall
from relmachine.kernel.control import ANSWER, RELEASE
from relmachine.kernel.joining import without_effect
from relmachine.kernel.verdicts import Refused

if TYPE_CHECKING:
    from relmachine.gates.shape import ShapeGate
    from relmachine.hosts.held_releasing import Releasing
    from relmachine.hosts.run_answering import Answering
    from relmachine.hosts.run_opening import Opening
    from relmachine.kernel.candidate import Candidate, Message
    from relmachine.kernel.proposal import Proposal
    from relmachine.kernel.state import ThreadState
    from relmachine.machine.plan import Plan
    from relmachine.store.port import Receipt, Store


@dataclass(frozen=True, slots=True)
class RunTurns:
    """Makes the proposals of requests, answers and releases, many threads together."""

    plan: Plan
    shape: ShapeGate
    store: Store
    opening: Opening
    answering: Answering
    releasing: Releasing

    async def propose(self, states: Mapping[str, ThreadState], messages: Mapping[str, Message]) -> list[Proposal]:
        """One proposal for each thread. Errors: whatever the store raises when it cannot be reached."""
        shaped = [self.shape.check(message) for message in messages.values()]
        receipts = await self._receipts(states, shaped)
        proposals: list[Proposal] = []
        requests: list[tuple[ThreadState, Candidate]] = []
        answers: list[tuple[ThreadState, Candidate]] = []
        releases: list[tuple[ThreadState, Candidate]] = []
        kinds = {ANSWER: answers, RELEASE: releases}
        for item in shaped:
            candidate = item.candidate if isinstance(item, Refused) else item
            state = states[candidate.thread]
            first = receipts.get((candidate.thread, candidate.step_key))
            if first is not None:
                proposals.append(without_effect(self.plan, state, recall(candidate, first)))
            elif isinstance(item, Refused):
                proposals.append(without_effect(self.plan, state, item))
            else:
                kinds.get(candidate.step, requests).append((state, candidate))
        if requests:
            proposals += await self.opening.propose(requests)
        if answers:
            proposals += await self.answering.propose(answers)
        if releases:
            proposals += await self.releasing.propose(releases)
        return proposals

    async def _receipts(
        self, states: Mapping[str, ThreadState], shaped: list[Candidate | Refused]
    ) -> Mapping[tuple[str, str], Receipt]:
        candidates = (item.candidate if isinstance(item, Refused) else item for item in shaped)
        keys = [(one.thread, one.step_key) for one in candidates if one.step_key and states[one.thread].cursor]
        return await self.store.receipts(keys) if keys else {}
