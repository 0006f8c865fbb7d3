"""The runs of an export, carried out again where the thread stood when they began."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import orjson
from pydantic import ValidationError

from relmachine.engine.runs.port import Carried, Divergence, Mode, RunRequest
from relmachine.errors import Code, RelmError
from relmachine.hosts.run_views import RunViews
from relmachine.hosts.values import HotValues
from relmachine.kernel.answer import Answer
from relmachine.kernel.control import ANSWER
from relmachine.kernel.frozen import Frozen, frozen_digest
from relmachine.kernel.verdicts import Refusal
from relmachine.replay.answers import differs, edited, repeatable
from relmachine.replay.difference import Difference, Shown
from relmachine.store.runs import Runs

if TYPE_CHECKING:
    from relmachine.engine.runs.port import Carrier
    from relmachine.kernel.detached import OpenRun
    from relmachine.kernel.limits import Limits
    from relmachine.machine.plan import Plan
    from relmachine.replay.exported import ExportedMessage, ExportedRun, ThreadExport
    from relmachine.store.sqlite import SqliteStore


@dataclass(slots=True)
class RunsAgain:
    """Carries runs out again. `runs` and `decisions` count what was."""

    plan: Plan
    limits: Limits
    store: SqliteStore
    carrier: Carrier | None
    export: ThreadExport
    mode: Mode
    runs: int = 0
    decisions: int = 0
    _answers: dict[tuple[str, int, int], Answer] = field(init=False, default_factory=dict[tuple[str, int, int], Answer])
    _recorded: dict[tuple[str, int], ExportedRun] = field(init=False)
    _views: RunViews = field(init=False)

    def __post_init__(self) -> None:
        for message in self.export.messages:
            if message.step == ANSWER and message.body:
                answer = _answer(message)
                self._answers.setdefault((message.thread, answer.request, answer.attempt), answer)
        self._recorded = {(run.thread, run.request): run for run in self.export.runs}
        self._views = RunViews(self.plan, HotValues(self.plan, self.store, self.limits.runs_in_flight_max))

    def stops(self) -> list[tuple[int, str]]:
        """Where runs may begin: sequence and thread of their requests, and of answers that let them begin again."""
        asked = {(thread, request) for thread, request, _ in self._answers}
        return [
            (message.sequence, message.thread)
            for message in self.export.messages
            if message.step == ANSWER or (message.thread, message.sequence) in asked
        ]

    async def compare(self, thread: str, sequence: int) -> list[Shown]:
        """Carry out the attempt that began at this message of `thread`, if one did and is answered; what differs."""
        for run in await Runs(self.store.deciding).begun_at(thread, sequence):
            answer = self._answers.get((thread, run.candidate.sequence, run.attempt))
            if answer is not None:
                found = await self._differences(run, answer)
                return [Shown(sequence, _difference(run, one)) for one in found]
        return []

    async def _differences(self, run: OpenRun, answer: Answer) -> Sequence[Divergence]:
        recorded = self._recorded.get((run.candidate.thread, answer.request))
        if recorded is None or recorded.payload_digest != run.candidate.payload_digest:
            return []  # another step was asked for: that is the difference
        plans = {one.attempt: one.plan for one in recorded.attempts}
        if (digest := frozen_digest(answer.plan)) != (plan := plans.get(answer.attempt, "")):
            return [Divergence(0, "frozen plan", plan, digest)]
        if not repeatable(answer) or self.carrier is None:
            return edited(answer)
        try:
            frozen = Frozen.load(answer.plan)
        except (ValueError, TypeError, KeyError):
            return [Divergence(0, "frozen plan", answer.plan, "this is none")]
        self.runs += 1
        self.decisions += len(answer.decisions)
        carried = await self._again(self.carrier, run, answer, frozen)
        if carried.divergences and self.mode is Mode.PLAYBACK:
            return carried.divergences
        return [*carried.divergences, *differs(answer, carried.answer, self.mode)]

    async def _again(self, carrier: Carrier, run: OpenRun, answer: Answer, frozen: Frozen) -> Carried:
        thread, step = run.candidate.thread, self.plan.steps[self.plan.step_index[run.candidate.step]]
        state = (await self.store.states([thread]))[thread]
        (found,) = await self._views.load([(state, step)])
        assert not isinstance(found, Refusal), "the step was opened on this view"
        request = RunRequest.of(self.plan, run, (state, found[0]), frozen, answer.decisions, self.mode)
        return await carrier.carry_out(request)


def _answer(message: ExportedMessage) -> Answer:
    """Errors: `log_invalid` when the message is no answer."""
    try:
        data = cast("dict[str, object]", orjson.loads(message.body)["data"])
        return Answer.model_validate_json(orjson.dumps(data))
    except (ValidationError, orjson.JSONDecodeError, KeyError, TypeError) as error:
        sentence = "this message of the export is no answer to a run: export the thread again"
        raise RelmError(Code.LOG_INVALID, sentence, sequence=message.sequence, detail=str(error)[:500]) from error


def _difference(run: OpenRun, one: Divergence) -> Difference:
    step = run.candidate
    return Difference(step.thread, step.sequence, one.what, one.recorded, one.found, run.attempt, one.place)
