"""Turns of control records: one record is one turn of its thread, decided from what the stream fixes alone.

A record may look at another thread, but only at what has an earlier stream sequence; until that is decided, its turn
waits: no proposal, the cursor stays, the hint goes back. So every node decides the same, in whatever order its threads
run, and nothing waits in a circle. Source: `docs/forks.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from relmachine.hosts.control_rules import ControlRules, Decided, Waits
from relmachine.hosts.repetition import recall
from relmachine.kernel.joining import without_effect
from relmachine.kernel.verdicts import Refused

if TYPE_CHECKING:
    from relmachine.gates.shape import ShapeGate
    from relmachine.kernel.candidate import Message
    from relmachine.kernel.proposal import Proposal
    from relmachine.kernel.state import ThreadState
    from relmachine.machine.plan import Plan
    from relmachine.store.port import Store


@dataclass(frozen=True, slots=True)
class ControlTurns:
    """Makes the proposals of records."""

    plan: Plan
    shape: ShapeGate
    store: Store
    rules: ControlRules

    async def propose(
        self, states: Mapping[str, ThreadState], records: Mapping[str, Message]
    ) -> tuple[list[Proposal], list[str]]:
        """The proposals of the records that can be decided now, and the threads whose records have to wait.

        Errors: whatever store and stream raise when they cannot be reached.
        """
        proposals: list[Proposal] = []
        waiting: list[str] = []
        for thread, message in sorted(records.items(), key=lambda item: item[1].sequence):
            decided = await self._decide(states[thread], message)
            if isinstance(decided, Waits):
                waiting.append(thread)
            else:
                proposals.append(decided)
        return proposals, waiting

    async def _decide(self, state: ThreadState, message: Message) -> Decided:
        shaped = self.shape.check(message)
        candidate = shaped.candidate if isinstance(shaped, Refused) else shaped
        key = (candidate.thread, candidate.step_key)
        first = (await self.store.receipts([key])).get(key) if candidate.step_key and state.cursor else None
        if first is not None:
            return without_effect(self.plan, state, recall(candidate, first))
        if isinstance(shaped, Refused):
            return without_effect(self.plan, state, shaped)
        return await self.rules.decide(state, shaped)
