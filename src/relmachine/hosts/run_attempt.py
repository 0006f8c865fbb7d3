"""One attempt of a run: what it is asked, what it has seen so far, and how its answer gets onto the stream."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, cast

from relmachine.algebra.identity import digest
from relmachine.engine.runs.port import RunRequest
from relmachine.engine.runs.spending import RunSpending
from relmachine.errors import Code, RelmError
from relmachine.gates.shape import ShapeGate
from relmachine.kernel.answer import RUN_SOURCE, Answer, Decision, Failure, Pass, Reason
from relmachine.kernel.control import ANSWER
from relmachine.kernel.envelope import Envelope
from relmachine.kernel.frozen import Frozen, is_plan_of
from relmachine.kernel.verdicts import Refusal, Refused
from relmachine.store.port import Draft
from relmachine.store.runs import Runs
from relmachine.stream.port import Outgoing
from relmachine.stream.publisher import message_id

if TYPE_CHECKING:
    from relmachine.engine.runs.port import Carrier
    from relmachine.hosts.run_views import RunViews
    from relmachine.hosts.telemetry import Telemetry
    from relmachine.kernel.detached import OpenRun
    from relmachine.kernel.limits import Limits
    from relmachine.kernel.state import ThreadState
    from relmachine.machine.plan import Plan, StepPlan
    from relmachine.machine.view import View
    from relmachine.store.port import Store
    from relmachine.stream.port import Publisher, Reader

_ANSWERS_PER_READ = 256
"""Answers of a thread read at once, for one that a run has already."""

_LOOKS_MAX = 8
"""How often a view is looked at again because its thread moved meanwhile."""


class Attempt(Protocol):
    """An attempt that is ready."""

    def carry_out(self) -> Coroutine[Any, Any, Answer]:
        """Run it to its answer."""
        ...

    def cancelled(self) -> Answer:
        """The answer when it was cancelled: what it had seen until then."""
        ...


@dataclass(slots=True)
class _Overtaken:
    """Its view is gone before it began."""

    answer: Answer

    async def carry_out(self) -> Answer:
        return self.answer

    def cancelled(self) -> Answer:
        return self.answer.model_copy(update={"reason": Reason.CANCELLED})


@dataclass(slots=True)
class _Carried:
    """Its request, and what it has seen."""

    carrier: Carrier
    request: RunRequest
    keep: Callable[[int, Decision], Awaitable[None]] | None
    seen: list[Decision] = field(default_factory=list[Decision])
    tell: Callable[[Pass], None] | None = None
    passes: list[Pass] = field(default_factory=list[Pass])

    async def carry_out(self) -> Answer:
        return (await self.carrier.carry_out(self.request, self._keep, self._passed)).answer

    def cancelled(self) -> Answer:
        return Answer(
            request=self.request.sequence,
            attempt=self.request.attempt,
            reason=Reason.CANCELLED,
            plan=self.request.frozen.text(),
            decisions=tuple(self.seen),
            passes=tuple(self.passes),
            usage=RunSpending(self.seen, self.request.frozen.budget).usage(0.0),
        )

    async def _keep(self, place: int, decision: Decision) -> None:
        if self.keep is not None:
            await self.keep(place, decision)
        if place == len(self.seen):
            self.seen.append(decision)

    def _passed(self, row: Pass) -> None:
        self.passes.append(row)
        if self.tell is not None and len(self.seen) > len(self.request.recorded):  # else an earlier life told it
            self.tell(row)


@dataclass(frozen=True, slots=True)
class Attempts:
    """Makes attempts ready, and publishes their answers."""

    plan: Plan
    limits: Limits
    store: Store
    reader: Reader
    publisher: Publisher
    views: RunViews
    carrier: Carrier
    telemetry: Telemetry | None = None

    async def prepare(self, run: OpenRun) -> Attempt | None:
        """The attempt that runs now; None when its answer is on the stream already, or was decided meanwhile.

        Errors: `unreachable` when store or stream are.
        """
        asked = Runs(self.store.deciding)
        if await self._is_answered(run) or not await asked.is_open(run):  # behind the cursor, or decided before it
            return None
        text = await asked.frozen(run.frozen_digest)
        found = await self._view(run)
        if found is None:
            request = run.candidate.sequence
            return _Overtaken(Answer(request=request, attempt=run.attempt, reason=Reason.OVERTAKEN, plan=text))
        step = self._step(run)
        durable = step.run is not None and step.run.durable
        drafts = await asked.drafts(run) if durable else ()
        request = RunRequest.of(self.plan, run, found, Frozen.load(text), drafts)
        keep = self._keeper(run, asyncio.get_running_loop()) if durable else None
        return _Carried(self.carrier, request, keep, list(request.recorded), self._teller(run))

    async def publish(self, run: OpenRun, answer: Answer) -> None:
        """Put the answer on the stream: under a key of the attempt, so that it counts once. Errors: `unreachable`."""
        candidate = run.candidate
        name = digest("run", candidate.thread, str(candidate.sequence), str(run.attempt))
        body = self._body(run, name, answer)
        if len(body) > self.limits.payload_bytes_max:
            body = self._body(run, name, _without_record(answer, len(body), self.limits.payload_bytes_max))
        outgoing = Outgoing(candidate.thread, ANSWER, body, message_id(candidate.thread, body))
        await self.publisher.publish([outgoing])

    def _body(self, run: OpenRun, name: str, answer: Answer) -> bytes:
        data = answer.model_dump(mode="json", exclude_defaults=True)
        envelope = Envelope(id=name, source=RUN_SOURCE, type=ANSWER, data=data, principal=run.candidate.principal)
        return envelope.wire()

    def _step(self, run: OpenRun) -> StepPlan:
        return self.plan.steps[self.plan.step_index[run.candidate.step]]

    async def _is_answered(self, run: OpenRun) -> bool:
        """Whether an answer to this attempt waits for its turn, as in a store built again. One whose turn is over,
        and that did not end the attempt, counted for nothing.
        """
        thread, shape = run.candidate.thread, ShapeGate(self.plan, self.limits)
        after = (await self.store.states([thread]))[thread].cursor
        while found := await self.reader.read_token(thread, ANSWER, after, _ANSWERS_PER_READ):
            for message in found:
                record = shape.check(message)
                if isinstance(record, Refused):
                    continue  # it will be refused, and so it answers for nothing
                if self._counts(run, Answer.model_validate_json(record.payload)):
                    return True
            after = found[-1].sequence
        return False

    def _counts(self, run: OpenRun, answer: Answer) -> bool:
        """Whether its turn will end the attempt by it, as `hosts.run_answering` decides."""
        step = run.candidate
        return (answer.request, answer.attempt) == (step.sequence, run.attempt) and is_plan_of(
            answer.plan, self.plan, step.step, step.step_key
        )

    async def _view(self, run: OpenRun) -> tuple[ThreadState, View] | None:
        """What the attempt sees, while that is what it saw when it was opened; None when it was overtaken."""
        thread, step = run.candidate.thread, self._step(run)
        state = (await self.store.states([thread]))[thread]
        for _ in range(_LOOKS_MAX):
            (found,) = await self.views.load([(state, step)])
            if not isinstance(found, Refusal) and found[1] == run.view:
                return state, found[0]
            moved = (await self.store.states([thread]))[thread]
            if moved.head == state.head:
                return None
            state = moved
        return None

    def _teller(self, run: OpenRun) -> Callable[[Pass], None] | None:
        """Tells of passes, by the node's own loop."""
        if self.telemetry is None:
            return None
        thread, loop = run.candidate.thread, asyncio.get_running_loop()
        tell = partial(self.telemetry.passed, thread, run.candidate.sequence, run.attempt)
        return lambda row: cast("None", loop.call_soon_threadsafe(tell, row))

    def _keeper(self, run: OpenRun, loop: asyncio.AbstractEventLoop) -> Callable[[int, Decision], Awaitable[None]]:
        """Keeps drafts by the node's own loop, which has the store."""

        async def keep(place: int, decision: Decision) -> None:
            candidate = run.candidate
            draft = Draft(
                candidate.thread,
                candidate.sequence,
                run.attempt,
                place,
                decision.model_dump_json(exclude_defaults=True),
            )
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._keep(draft), loop))

        return keep

    async def _keep(self, draft: Draft) -> None:
        """Errors: `run_diverged` when it is not this attempt's record: of two that carry it out, one goes on."""
        await self.store.keep_draft(draft)
        if not await Runs(self.store.deciding).is_kept(draft):
            sentence = "the attempt was answered, or has seen something else where another carries it out: it goes on"
            at = {"thread": draft.thread, "request": draft.sequence, "attempt": draft.attempt, "place": draft.place}
            raise RelmError(Code.RUN_DIVERGED, sentence, **at)


def _without_record(answer: Answer, size: int, most: int) -> Answer:
    """An answer that fits: what was too large to be kept cannot count."""
    sentence = f"what the run saw is {size} bytes, and an answer may have {most}: let it see less"
    failure = Failure(code=Code.PAYLOAD_TOO_LARGE, sentence=sentence)
    return Answer(
        request=answer.request,
        attempt=answer.attempt,
        reason=Reason.BUDGET,
        failure=failure,
        plan=answer.plan,
        usage=answer.usage,
    )
