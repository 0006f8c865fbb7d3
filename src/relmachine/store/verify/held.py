"""Verification of steps that are held: each held and released again from what is stored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

from relmachine.kernel.advance import advance
from relmachine.kernel.candidate import Candidate
from relmachine.kernel.control import Release
from relmachine.kernel.held import HeldStep, came_by_merge, dropped, expired, kept, released, waits
from relmachine.kernel.lifecycle import COMMITTED
from relmachine.kernel.proposal import Proposal
from relmachine.kernel.recorded import recorded
from relmachine.kernel.verdicts import Held, Refusal, Refused
from relmachine.store import tables
from relmachine.store.held import HeldSteps
from relmachine.store.points import table_rows
from relmachine.store.tables import Target
from relmachine.store.verify.fault import Fault
from relmachine.store.verify.late import ENDED, LateAgain
from relmachine.store.verify.steps import Row

_RELEASED_AT = "thread = ? AND at_seq = ?"


@dataclass(frozen=True)  # with slots the class is made anew, and `super()` would mean the old one
class HeldAgain(LateAgain):
    """A step that was held, or the release of one, decided once more on the state before it."""

    async def proposal(self) -> Proposal | Fault:
        """What its turn gave, or why it would have been decided otherwise."""
        return self._holding() if self.stored.home is tables.HELD else await self._releasing()

    def computed(self, proposal: Proposal) -> dict[Target, list[Row]]:
        """See `RecordAgain.computed`."""
        return {
            **super().computed(proposal),
            tables.HELD: list(proposal.held),
            tables.HELD_ENDS: list(proposal.held_ends),
        }

    def where(self, target: Target) -> str:
        """See `RecordAgain.where`."""
        return _RELEASED_AT if target is tables.HELD_ENDS else super().where(target)

    def _holding(self) -> Proposal | Fault:
        _, _, name, key, payload, payload_digest, _, evidence = cast("tuple[str, ...]", self.stored.row)
        bare = Candidate(self.stored.sequence, self.stored.thread, name, key, payload, payload_digest)
        step = bare.known(evidence)
        if not self.digested(step):
            return self.fault("held.payload_digest: not that of the payload", payload_digest, payload)
        if self.state.closed:
            return self.fault("held: a step of a thread that was merged into another", self.state.closed, "")
        refusal = self.admission(step, self._written(step))
        if not self._waits(step, refusal):
            return self.fault("held: a step that need not wait", "held", "" if refusal is None else refusal.code)
        return advance(self.plan, self.state, [Held(step)])

    async def _releasing(self) -> Proposal | Fault:
        record = self._candidate()
        release = Release.model_validate_json(record.payload)
        place = (record.thread, release.held)
        held = (await HeldSteps(self._ask).standing([(*place, record.sequence)])).get(place)
        if held is None or held.ended_at is not None:
            return self.fault("controls: a release of a step that did not wait", release.held, "")
        step = replace(held.candidate, sequence=record.sequence)
        ends = await table_rows(self.store, tables.HELD_ENDS, _RELEASED_AT, record.thread, record.sequence)
        committed = bool(ends) and ends[0][3] == COMMITTED
        written = await self._contributions(step) if committed else self._written(step)
        refusal = self._over(release, held) or self.admission(step, written)
        if not ends:
            if not self._waits(step, refusal):
                return self.fault("held_ends: no end of a step that need not wait", "held", release.held)
            return kept(self.plan, self.state, record, held.candidate)
        if not committed:
            return await self._dropping(record, held, refusal)
        if refusal is not None or self.state.closed:
            found = self.state.closed if refusal is None else refusal.code
            return self.fault("held_ends: an event that would be refused", "committed", found)
        return released(self.plan, self.state, record, held.candidate, written)

    async def _dropping(self, record: Candidate, held: HeldStep, refusal: Refusal | None) -> Proposal | Fault:
        """A step refused after all. What closures, constraints and laws of the author's own said is not known here."""
        stored = await self.refusal()
        known = None if stored.code in ENDED else refusal
        if self._waits(held.candidate, known):
            return self.fault("held_ends: a step that waits still", stored.code, "")
        return await self.told(dropped(self.plan, self.state, record, held.candidate, known or stored))

    def _over(self, release: Release, held: HeldStep) -> Refusal | None:
        if release.expired:
            return expired(held.candidate)
        return came_by_merge(held.candidate) if held.came else None

    def _waits(self, step: Candidate, refusal: Refusal | None) -> bool:
        return refusal is not None and waits(self.plan, Refused(step, refusal))

    def _written(self, step: Candidate) -> tuple[tuple[str, str], ...]:
        return recorded(self.plan.steps[self.plan.step_index[step.step]], step.payload)

    async def _contributions(self, step: Candidate) -> tuple[tuple[str, str], ...]:
        """What a recorded step contributes by its payload, a computed one by what is stored."""
        kind = self.plan.steps[self.plan.step_index[step.step]]
        if kind.recorded:
            return recorded(kind, step.payload)
        where, at = self.where(tables.CONTRIBUTIONS), (self.stored.thread, self.stored.sequence)
        rows = await table_rows(self.store, tables.CONTRIBUTIONS, where, *at)
        return tuple(sorted((cast(str, name), cast(str, value)) for _, name, value in rows))
