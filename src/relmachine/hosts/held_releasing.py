"""The turn of a release: the step that was held becomes an event, waits on, or is refused.

Of several releases of one step the first one by which it stops waiting counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from relmachine.engine.turn import Case
from relmachine.errors import Code
from relmachine.hosts.control_words import ended, refused
from relmachine.kernel.control import Release
from relmachine.kernel.held import came_by_merge, dropped, expired, kept, released, waits
from relmachine.kernel.joining import without_effect
from relmachine.kernel.recorded import recorded
from relmachine.kernel.verdicts import Admitted, Refusal, Refused
from relmachine.machine.plan import Reducer
from relmachine.store.held import HeldSteps

if TYPE_CHECKING:
    from relmachine.engine.turn import Engine
    from relmachine.gates.own_law_scene import Sighting
    from relmachine.gates.port import ConstraintGate
    from relmachine.hosts.sightings import HotSightings
    from relmachine.hosts.values import Folds, HotValues
    from relmachine.kernel.candidate import Candidate
    from relmachine.kernel.held import HeldStep
    from relmachine.kernel.proposal import Proposal
    from relmachine.kernel.state import ThreadState
    from relmachine.machine.plan import Plan, StepPlan
    from relmachine.store.port import Store


@dataclass(frozen=True, slots=True)
class _Pending:
    """A release of a step that waits: `held` as it came, `step` as it would be decided here."""

    state: ThreadState
    record: Candidate
    held: Candidate
    step: Candidate


@dataclass(frozen=True, slots=True)
class Releasing:
    """Decides releases. Gate 2 let the step pass when it came, and is not asked again."""

    plan: Plan
    store: Store
    engine: Engine
    constraints: ConstraintGate
    values: HotValues
    sightings: HotSightings | None

    async def propose(self, records: Sequence[tuple[ThreadState, Candidate]]) -> list[Proposal]:
        """One proposal for each release, all of different threads."""
        read = [(state, record, Release.model_validate_json(record.payload)) for state, record in records]
        asked = [(record.thread, release.held, record.sequence) for _, record, release in read]
        found = await HeldSteps(self.store.deciding).standing(asked)
        proposals: list[Proposal] = []
        pending: list[_Pending] = []
        for state, record, release in read:
            held = found.get((record.thread, release.held))
            if held is None or held.ended_at is not None:
                proposals.append(without_effect(self.plan, state, _nobody_waits(record, release, held)))
            elif (no := self._over(state, record, release, held)) is not None:
                proposals.append(dropped(self.plan, state, record, held.candidate, no))
            else:
                pending.append(self._pending(state, record, held.candidate))
        return proposals + await self._decide(pending) if pending else proposals

    def _over(self, state: ThreadState, record: Candidate, release: Release, held: HeldStep) -> Refusal | None:
        """Why the step need not be decided again."""
        no = ended(state, record)
        if no is not None:
            return no.refusal
        if release.expired:
            return expired(held.candidate)
        return came_by_merge(held.candidate) if held.came else None

    def _pending(self, state: ThreadState, record: Candidate, held: Candidate) -> _Pending:
        written = recorded(self._step(held), held.payload)
        return _Pending(state, record, held, replace(held, sequence=record.sequence, recorded=written))

    async def _decide(self, pending: Sequence[_Pending]) -> list[Proposal]:
        """Gate 3, with what the step computes: claims, `once` values, laws of the author's own, constraints."""
        seen, values = await self._seen(pending), await self._values(pending)
        cases = [
            Case(one.state, [one.step], values.get(one.step.thread, {}), seen=seen.get(one.step.thread, ()))
            for one in pending
        ]
        outcomes = await self.engine.decide(cases)
        proposals = [self._proposal(one, outcome) for one, (outcome, *_) in zip(pending, outcomes, strict=True)]
        broken = await self.constraints.check(proposals)
        for place, found in enumerate(broken):
            if found:
                one = pending[place]
                proposals[place] = dropped(self.plan, one.state, one.record, one.held, next(iter(found.values())))
        return proposals

    def _proposal(self, one: _Pending, outcome: Admitted | Refused) -> Proposal:
        at = (self.plan, one.state, one.record, one.held)
        if isinstance(outcome, Admitted):
            return released(*at, outcome.contributions, outcome.follow_ups)
        return kept(*at) if waits(self.plan, outcome) else dropped(*at, outcome.refusal)

    async def _seen(self, pending: Sequence[_Pending]) -> Mapping[str, Sequence[Sighting]]:
        if self.sightings is None:
            return {}
        states = {one.step.thread: one.state for one in pending}
        return await self.sightings.load(states, {one.step.thread: [one.step] for one in pending})

    async def _values(self, pending: Sequence[_Pending]) -> Mapping[str, Folds]:
        """Folds of the fields that closures read; `once` fields are in the state."""
        fields, wanted = self.plan.fields, dict[str, "tuple[ThreadState, frozenset[str]]"]()
        for one in pending:
            step = self._step(one.held)
            names = frozenset(name for name in step.read_fields if fields[name].reducer is not Reducer.ONCE)
            if step.computed and names:
                wanted[one.step.thread] = (one.state, names)
        return await self.values.load(wanted)

    def _step(self, held: Candidate) -> StepPlan:
        return self.plan.steps[self.plan.step_index[held.step]]


def _nobody_waits(record: Candidate, release: Release, held: HeldStep | None) -> Refused:
    sentence = "no step waits for this release: it was released before, or never held"
    ended_at = None if held is None else held.ended_at
    return refused(record, Code.HELD_UNKNOWN, sentence, held=release.held, ended_at=ended_at)
