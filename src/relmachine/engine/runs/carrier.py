"""Carries out one run: from the frozen plan to the answer that the stream will hold."""

from __future__ import annotations

import asyncio
from time import monotonic

import orjson
import structlog

from relmachine.engine.outputs import Taken
from relmachine.engine.runs.decisions import json_bytes
from relmachine.engine.runs.ended import End, RunEnded
from relmachine.engine.runs.fallback import answer_instead, stands_in
from relmachine.engine.runs.forms import carry
from relmachine.engine.runs.port import Carried, Keep, Mode, ModelSource, Passed, RunRequest, ToolRunner
from relmachine.engine.runs.recorder import DEADLINE, Recorder
from relmachine.engine.runs.running import Running
from relmachine.engine.runs.shares import Shares
from relmachine.engine.runs.solver import Solver
from relmachine.engine.words import said
from relmachine.errors import Code, RelmError
from relmachine.kernel.answer import Answer, Failure, Reason
from relmachine.kernel.frozen import freeze
from relmachine.kernel.limits import Limits
from relmachine.machine.plan import Plan, StepPlan

_log = structlog.get_logger(__name__)

ENVELOPE_BYTES = 4096
"""Room for the envelope around an answer in its message."""

GRACE_SECONDS = 1.0
"""How long a run whose time is over may take to let go. What holds on longer is left to itself."""

_COMPARED = ("machine", "laws_digest", "step", "closure", "instructions", "output", "tools", "seed")
"""What of a frozen plan is compared with the code. The rest enters the digest of every question."""

_WITNESS_CHARACTERS = 4000
_SHARE_OF_RECORD = 0.75
"""At most this much of a message is record; the rest is for contributions, follow-ups and the plan."""


class RunCarrier:
    """Implements `port.Carrier` for runs of `plan`. Importing it loads no model library."""

    def __init__(self, plan: Plan, models: ModelSource, processes: ToolRunner, limits: Limits) -> None:
        self._plan, self._models, self._processes, self._limits = plan, models, processes, limits
        self._answer_bytes_max = limits.payload_bytes_max - ENVELOPE_BYTES
        self._record_bytes_max = min(limits.run_record_bytes_max, int(self._answer_bytes_max * _SHARE_OF_RECORD))
        self._left: set[asyncio.Task[Taken]] = set()

    def bindings(self, step: StepPlan) -> tuple[str, str]:
        """The bindings of the step's model and of its fallback as of now, empty where there is none."""
        assert step.run is not None, "only steps that run outside their turn ask models"
        names = (step.run.model, step.run.fallback)
        primary, fallback = ("" if name is None else self._binding(name) for name in names)
        return primary, fallback

    def _binding(self, name: str) -> str:
        """A name that nobody binds stays as it is: the run finds that out, and its record says so."""
        try:
            return self._models.binding(name)
        except RelmError:
            return name

    async def carry_out(self, request: RunRequest, keep: Keep | None = None, passed: Passed | None = None) -> Carried:
        """Run to an end (`port.Carrier`). Raises what `keep` raises: a run that cannot be kept has no answer."""
        began = monotonic()
        recorder = Recorder(request, keep, self._record_bytes_max, passed)
        budget, closure = request.frozen.budget, request.step.run and request.step.run.fallback_closure
        shares = Shares.of(began, budget.wall_seconds, has_closure=closure is not None)
        solver = Solver(recorder, budget.solver_seconds)
        running = Running(request, recorder, self._models, self._processes, self._limits, shares, solver)
        found = await self._to_an_end(running)
        if found is None and recorder.end is not None and stands_in(running, recorder.end):
            found = await answer_instead(running, recorder.end)
        if recorder.lost is not None:
            raise recorder.lost
        divergences = tuple(recorder.close())
        if divergences and request.mode is not Mode.RESIMULATE:
            found = None
        return Carried(self._answer(running, found, monotonic() - began), divergences)

    async def close(self) -> None:
        """Let go of clients and processes, and of runs that are left to themselves."""
        for task in self._left:
            task.cancel()
        await self._models.close()
        await self._processes.close()

    async def _to_an_end(self, running: Running) -> Taken | None:
        """The run within its wall seconds. None when it ended without an output, as its recorder says.

        A defect of ours must not leave a run open: it would be begun again, and paid for again, for ever.
        """
        try:
            _check_frozen(running)
            running.recorder.check()
            found = await self._in_time(running)
            return None if running.recorder.end is not None else found
        except RunEnded:
            return None
        except Exception as error:
            _log.exception("a run ended by a defect", step=running.request.step.name)
            running.recorder.end = End(Reason.FATAL, Code.INTERNAL, f"the run ended by a defect: {said(error)}")
            return None

    async def _in_time(self, running: Running) -> Taken | None:
        """A task of its own, since it may not let go when it is cancelled: nobody waits for it longer than this."""
        task = asyncio.ensure_future(carry(running))
        try:
            done, _ = await asyncio.wait({task}, timeout=running.shares.agent - monotonic())
            if done:
                return task.result()
            await running.recorder.stop(DEADLINE)
            task.cancel()
            await asyncio.wait({task}, timeout=GRACE_SECONDS)
            return None
        finally:
            if not task.done():
                running.recorder.abandon()
                self._left.add(task)
                task.add_done_callback(self._let_go)
                task.cancel()

    def _let_go(self, task: asyncio.Task[Taken]) -> None:
        self._left.discard(task)
        if not task.cancelled():
            task.exception()  # seen here: its run is over, and nobody else asks

    def _answer(self, running: Running, found: Taken | None, seconds: float) -> Answer:
        request, recorder = running.request, running.recorder
        end = recorder.end if found is None else None
        whole = Answer(
            request=request.sequence,
            attempt=request.attempt,
            reason=Reason.DONE if end is None else end.reason,
            contributions={} if found is None else dict(found[0]),
            follow_ups=() if found is None else found[1],
            failure=None if end is None else _failure(end),
            plan=request.frozen.text(),
            decisions=tuple(recorder.decisions),
            passes=tuple(recorder.passes),
            usage=running.spending.usage(seconds, running.solver.seconds),
        )
        size = json_bytes(whole)
        if size <= self._answer_bytes_max:
            return whole
        sentence = f"the answer has {size} bytes, more than {self._answer_bytes_max}: write or propose less"
        over = _failure(End(Reason.BUDGET, Code.BUDGET_SPENT, sentence))
        return whole.model_copy(
            update={"reason": Reason.BUDGET, "contributions": {}, "follow_ups": (), "failure": over}
        )


def _check_frozen(running: Running) -> None:
    """The code that is here is the code of the frozen plan. Raises `RunEnded` when it is not, but for a simulation."""
    request, frozen = running.request, running.request.frozen
    now = freeze(request.plan, request.step, request.step_key, frozen.model, frozen.fallback, frozen.budget)
    for name in _COMPARED:
        then, here = getattr(frozen, name), getattr(now, name)
        if then != here:
            running.recorder.diverge(f"the frozen plan has another {name!r}", str(then), str(here))


def _failure(end: End) -> Failure:
    witness = orjson.dumps(dict(end.witness), default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    fits = len(witness) <= _WITNESS_CHARACTERS
    return Failure(code=str(end.code), sentence=end.sentence[:1000], witness=witness if fits else "{}")
