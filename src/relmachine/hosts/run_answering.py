"""The turn of an answer: the step that ran becomes an event, is aborted, or runs again because it was overtaken.

Of several answers to one attempt the first on the stream counts. An answer counts as long as the step would see what
its run saw: then it is what the run would give here and now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from relmachine.engine.turn import Case
from relmachine.errors import Code, RelmError
from relmachine.hosts.control_words import ended, refused
from relmachine.kernel.answer import Answer, Reason
from relmachine.kernel.detached import OpenRun, aborted, again, answered, why
from relmachine.kernel.frozen import frozen_digest, is_plan_of
from relmachine.kernel.held import came_by_merge
from relmachine.kernel.joining import without_effect
from relmachine.kernel.told import told
from relmachine.kernel.verdicts import Admitted, GateName, Refusal, Refused
from relmachine.store.runs import Run, Runs

if TYPE_CHECKING:
    from relmachine.engine.turn import Engine
    from relmachine.gates.own_law_scene import Sighting
    from relmachine.gates.port import ConstraintGate
    from relmachine.hosts.run_views import RunViews
    from relmachine.hosts.sightings import HotSightings
    from relmachine.kernel.candidate import Candidate
    from relmachine.kernel.limits import Limits
    from relmachine.kernel.proposal import Proposal
    from relmachine.kernel.state import ThreadState
    from relmachine.machine.plan import Plan, StepPlan
    from relmachine.store.port import Store


@dataclass(frozen=True, slots=True)
class _Pending:
    """An answer to an attempt that runs."""

    state: ThreadState
    record: Candidate
    answer: Answer
    run: OpenRun


@dataclass(frozen=True, slots=True)
class Answering:
    """Decides answers."""

    plan: Plan
    limits: Limits
    store: Store
    engine: Engine
    constraints: ConstraintGate
    views: RunViews
    sightings: HotSightings | None

    async def propose(self, answers: Sequence[tuple[ThreadState, Candidate]]) -> list[Proposal]:
        """One proposal for each answer, all of different threads."""
        read = [(state, record, Answer.model_validate_json(record.payload)) for state, record in answers]
        asked = [(record.thread, answer.request) for _, record, answer in read]
        runs = await Runs(self.store.deciding).standing(asked)
        proposals: list[Proposal] = []
        pending: list[_Pending] = []
        for (state, record, answer), key in zip(read, asked, strict=True):
            run = runs.get(key)
            if run is None or run.ended_at is not None or run.open.attempt != answer.attempt:
                proposals.append(without_effect(self.plan, state, _nobody_asked(record, answer, run)))
            elif not is_plan_of(answer.plan, self.plan, run.open.candidate.step, run.open.candidate.step_key):
                proposals.append(without_effect(self.plan, state, _of_another_step(record, answer)))
            elif answer.reason not in (Reason.DONE, Reason.OVERTAKEN):
                proposals.append(aborted(self.plan, state, record, run.open, answer, why(answer)))
            elif (no := _over(state, record, run, answer)) is not None:
                proposals.append(aborted(self.plan, state, record, run.open, answer, no))
            else:
                pending.append(_Pending(state, record, answer, run.open))
        return proposals + await self._decide(pending) if pending else proposals

    async def _decide(self, pending: Sequence[_Pending]) -> list[Proposal]:
        """Answers that may give an event: those that still see what they saw, and say what their step may say."""
        views = await self.views.load([(one.state, self._step(one)) for one in pending])
        proposals: list[Proposal] = []
        sound: list[tuple[_Pending, Candidate]] = []
        for one, view in zip(pending, views, strict=True):
            if isinstance(view, Refusal):
                proposals.append(self._abort(one, view))
            elif one.answer.reason is Reason.OVERTAKEN or view[1] != one.run.view:
                proposals.append(self._again(one, view[1]))
            else:
                try:
                    contributions = told(self.plan, one.run.candidate, one.answer)
                except RelmError as error:
                    proposals.append(self._abort(one, _refusal(error)))
                else:
                    step = replace(one.run.candidate, sequence=one.record.sequence, recorded=contributions)
                    sound.append((one, step))
        return proposals + await self._commit(sound) if sound else proposals

    async def _commit(self, sound: Sequence[tuple[_Pending, Candidate]]) -> list[Proposal]:
        """Gate 3 on the outputs: claims, `once` values, laws of the author's own, constraints."""
        seen = {} if self.sightings is None else await self._seen(sound)
        cases = [Case(one.state, [step], seen=seen.get(step.thread, ())) for one, step in sound]
        outcomes = await self.engine.decide(cases)
        proposals: list[Proposal] = []
        for (one, _), (outcome, *_) in zip(sound, outcomes, strict=True):
            if isinstance(outcome, Admitted):
                written = outcome.contributions
                proposals.append(answered(self.plan, one.state, one.record, one.run, one.answer, written))
            else:
                proposals.append(self._abort(one, outcome.refusal))
        broken = await self.constraints.check(proposals)
        for place, found in enumerate(broken):
            if found:
                proposals[place] = self._abort(sound[place][0], next(iter(found.values())))
        return proposals

    async def _seen(self, sound: Sequence[tuple[_Pending, Candidate]]) -> dict[str, Sequence[Sighting]]:
        assert self.sightings is not None
        states = {step.thread: one.state for one, step in sound}
        return dict(await self.sightings.load(states, {step.thread: [step] for _, step in sound}))

    def _again(self, one: _Pending, view: str) -> Proposal:
        if one.run.attempt < self.limits.run_attempts_max:
            return again(self.plan, one.state, one.record, one.run, one.answer, view)
        return self._abort(one, why(one.answer.model_copy(update={"reason": Reason.OVERTAKEN})))

    def _abort(self, one: _Pending, refusal: Refusal) -> Proposal:
        return aborted(self.plan, one.state, one.record, one.run, one.answer, refusal)

    def _step(self, one: _Pending) -> StepPlan:
        return self.plan.steps[self.plan.step_index[one.run.candidate.step]]


def _nobody_asked(record: Candidate, answer: Answer, run: Run | None) -> Refused:
    sentence = "no run waits for this answer: it has ended, was answered before, or never began"
    ended = None if run is None else run.ended_at
    attempt = None if run is None else run.open.attempt
    return refused(record, Code.RUN_UNKNOWN, sentence, request=answer.request, ended_at=ended, attempt=attempt)


def _of_another_step(record: Candidate, answer: Answer) -> Refused:
    sentence = "the answer went by no plan of the step that it answers: the run stays open"
    return refused(record, Code.RUN_UNKNOWN, sentence, request=answer.request, plan=frozen_digest(answer.plan))


def _over(state: ThreadState, record: Candidate, run: Run, answer: Answer) -> Refusal | None:
    """Why the step can be no event any more, whatever its run gave."""
    no = ended(state, record)
    if no is not None:
        return no.refusal
    if run.open.cancelled:
        return why(answer.model_copy(update={"reason": Reason.CANCELLED}))
    return came_by_merge(run.open.candidate) if run.came else None


def _refusal(error: RelmError) -> Refusal:
    return Refusal(error.code, GateName.ENGINE, error.sentence, dict(error.witness))
