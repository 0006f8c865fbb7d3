"""The runs of an export, carried out again where the thread stood when they began."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import orjson

from relmachine.engine.runs.port import Mode, RunRequest
from relmachine.hosts.run_views import RunViews
from relmachine.hosts.values import HotValues
from relmachine.kernel.answer import Answer, Reason
from relmachine.kernel.control import ANSWER
from relmachine.kernel.frozen import Frozen
from relmachine.kernel.verdicts import Refusal
from relmachine.replay.difference import Difference
from relmachine.store.runs import Runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relmachine.engine.runs.port import Carrier, Divergence
    from relmachine.kernel.detached import OpenRun
    from relmachine.kernel.limits import Limits
    from relmachine.machine.plan import Plan
    from relmachine.replay.exported import ThreadExport
    from relmachine.store.sqlite import SqliteStore

_CARRIED = frozenset(Reason) - {Reason.OVERTAKEN, Reason.CANCELLED}
"""Reasons of answers that a run gave by itself."""


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
    _answers: dict[tuple[str, int, int], Answer] = field(init=False)
    _views: RunViews = field(init=False)

    def __post_init__(self) -> None:
        self._answers = {}
        for message in self.export.messages:
            if message.step == ANSWER and message.body:
                data = cast("dict[str, object]", orjson.loads(message.body)["data"])
                answer = Answer.model_validate_json(orjson.dumps(data))
                self._answers.setdefault((message.thread, answer.request, answer.attempt), answer)
        self._views = RunViews(self.plan, HotValues(self.plan, self.store, self.limits.runs_in_flight_max))

    def stops(self) -> list[tuple[str, int]]:
        """Where runs begin, in the order of the stream: their requests, and the answers that let them begin again."""
        asked = {(thread, request) for thread, request, _ in self._answers}
        return [
            (message.thread, message.sequence)
            for message in self.export.messages
            if message.step == ANSWER or (message.thread, message.sequence) in asked
        ]

    async def compare(self, thread: str, sequence: int) -> list[Difference]:
        """Carry out the attempt that began at this message of `thread`, if one did, and compare it with its answer."""
        for run in await Runs(self.store.deciding).begun_at(thread, sequence):
            answer = self._answers.get((thread, run.candidate.sequence, run.attempt))
            if answer is None or answer.reason not in _CARRIED or self.carrier is None:
                continue
            self.runs += 1
            self.decisions += len(answer.decisions)
            return await self._again(self.carrier, run, answer)
        return []

    async def _again(self, carrier: Carrier, run: OpenRun, answer: Answer) -> list[Difference]:
        thread, step = run.candidate.thread, self.plan.steps[self.plan.step_index[run.candidate.step]]
        state = (await self.store.states([thread]))[thread]
        ((found),) = await self._views.load([(state, step)])
        assert not isinstance(found, Refusal), "the step was opened on this view"
        request = RunRequest(
            plan=self.plan,
            step=step,
            thread=thread,
            sequence=run.candidate.sequence,
            attempt=run.attempt,
            step_key=run.candidate.step_key,
            payload=run.candidate.payload,
            view=found[0],
            state=state,
            frozen=Frozen.load(answer.plan),
            recorded=answer.decisions,
            mode=self.mode,
        )
        carried = await carrier.carry_out(request)
        return [*self._told(run, carried.divergences), *self._compared(run, answer, carried.answer)]

    def _told(self, run: OpenRun, divergences: Sequence[Divergence]) -> list[Difference]:
        return [
            Difference(
                run.candidate.thread, run.candidate.sequence, one.what, one.recorded, one.found, run.attempt, one.place
            )
            for one in divergences
        ]

    def _compared(self, run: OpenRun, recorded: Answer, found: Answer) -> list[Difference]:
        """What the answers say: why the run ended, what it contributes and proposes, the state after each pass."""
        pairs = [
            ("reason", recorded.reason, found.reason),
            ("contributions", recorded.contributions, found.contributions),
            ("follow-ups", _texts(recorded.follow_ups), _texts(found.follow_ups)),
            ("passes", _texts(recorded.passes), _texts(found.passes)),
        ]
        return [
            Difference(run.candidate.thread, run.candidate.sequence, what, str(one), str(other), run.attempt)
            for what, one, other in pairs
            if one != other
        ]


def _texts(items: Sequence[object]) -> list[str]:
    return [str(item) for item in items]
