"""Verification of steps that are decided later than they come: what opening, answering, holding and releasing share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import cast

import orjson

from relmachine.algebra.identity import payload_digest
from relmachine.errors import Code
from relmachine.gates.admission import AdmissionGate
from relmachine.gates.port import LawCase
from relmachine.kernel.candidate import Candidate
from relmachine.kernel.proposal import Proposal
from relmachine.kernel.verdicts import GateName, Refusal
from relmachine.machine.own_law import principals_read
from relmachine.machine.plan import Reducer
from relmachine.store import tables
from relmachine.store.points import table_rows
from relmachine.store.tables import Target
from relmachine.store.verify.decided import is_cut
from relmachine.store.verify.records import RecordAgain
from relmachine.store.verify.steps import Row

_AT = "thread = ? AND seq = ?"
_OF_EVENT = "event_id IN (SELECT event_id FROM thread_events WHERE thread = ? AND seq = ?)"
_WHERE = {tables.EVENTS: _OF_EVENT, tables.CLAIMS: _OF_EVENT, tables.CONTRIBUTIONS: _OF_EVENT}

ENDED = frozenset({Code.THREAD_CANCELLED, Code.THREAD_CLOSED})
"""Of a thread that takes no more events."""


@dataclass(frozen=True)  # with slots the class is made anew, and `super()` would mean the old one
class LateAgain(RecordAgain):
    """A record by which a step becomes an event, or is refused, at another sequence than its own."""

    def computed(self, proposal: Proposal) -> dict[Target, list[Row]]:
        """See `RecordAgain.computed`; the event is its own."""
        return {
            **super().computed(proposal),
            tables.EVENTS: list(proposal.events),
            tables.CLAIMS: list(proposal.claims),
            tables.CONTRIBUTIONS: list(proposal.contributions),
            tables.REJECTIONS: list(proposal.rejections),
        }

    def where(self, target: Target) -> str:
        """See `RecordAgain.where`."""
        return _WHERE.get(target) or super().where(target)

    def digested(self, step: Candidate) -> bool:
        """Whether the digest of the step's payload is that."""
        named = step.step in principals_read(self.plan.own_laws)
        return step.payload_digest == payload_digest(step.payload, step.principal if named else None)

    def admission(self, step: Candidate, written: Iterable[tuple[str, str]]) -> Refusal | None:
        """Gate 3's verdict on the step here, which writes that."""
        once = {name: text for name, text in written if self.plan.fields[name].reducer is Reducer.ONCE}
        ((verdict,),) = AdmissionGate(self.plan).decide([LawCase(self.state, [step], [once])])
        return verdict

    async def refusal(self) -> Refusal:
        """The refusal that is stored at this sequence."""
        _, _, _, _, gate, code, sentence, witness, _ = await self._rejection()
        return Refusal(Code(code), GateName(gate), sentence, cast("dict[str, object]", orjson.loads(witness)))

    async def told(self, proposal: Proposal) -> Proposal:
        """The proposal, which refuses, with the witness as it is stored, if that says the same: its members may have
        come in another order, and one that was cut says no more.
        """
        (row,) = proposal.rejections
        stored = (await self._rejection())[7]
        found = cast("dict[str, object]", orjson.loads(stored))
        same = is_cut(found) or found == orjson.loads(row.witness)
        return replace(proposal, rejections=(row._replace(witness=stored),)) if same else proposal

    async def _rejection(self) -> tuple[str, ...]:
        at = (self.stored.thread, self.stored.sequence)
        (row,) = await table_rows(self.store, tables.REJECTIONS, _AT, *at)
        return cast("tuple[str, ...]", row)
