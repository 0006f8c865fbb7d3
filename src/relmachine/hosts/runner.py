"""Carries out the runs that turns open: outside any turn, in a thread of its own, each to an answer on the stream.

Nothing rests on who runs a step: a run that is carried out twice gives two answers, of which the first on the stream
counts. So a runner may be stopped at any moment; whoever finds the run open carries it out, from its drafts where it is
durable. A step whose answer is on the stream already, as when a store is built again, is not carried out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

import structlog

from relmachine.hosts.run_loop import RunLoop
from relmachine.hosts.sweep import Sweep
from relmachine.kernel.answer import Reason
from relmachine.kernel.lane import CANCEL, CLOSE_LANE

if TYPE_CHECKING:
    from relmachine.hosts.run_attempt import Attempts
    from relmachine.kernel.detached import OpenRun
    from relmachine.kernel.limits import Limits
    from relmachine.kernel.proposal import Proposal
    from relmachine.store.runs import Runs

_log = structlog.get_logger(__name__)

Key = tuple[str, int]
"""Thread, and stream sequence of the request."""


class Runner:
    """Runs of one node. `shared` says that other nodes work on the same store: their runs are left to them for as long
    as those may take.
    """

    def __init__(self, runs: Runs, attempts: Attempts, limits: Limits, *, shared: bool = False) -> None:
        self._runs, self._attempts, self._limits, self._shared = runs, attempts, limits, shared
        self._loop = RunLoop()
        self._slots = asyncio.Semaphore(limits.runs_in_flight_max)
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._seen: dict[Key, float] = {}
        self._sweep = Sweep("runs", self._adopt)
        self.answered = 0

    @property
    def running(self) -> int:
        """Runs that are carried out here, or wait for a place."""
        return len(self._tasks)

    def start(self) -> None:
        """Begin; what an earlier life left open comes first."""
        self._loop.start()
        self._sweep.start()

    def follow(self, proposals: Iterable[Proposal]) -> None:
        """These turns are durable: carry out what they opened, or let begin again; leave what they ended."""
        for proposal in proposals:
            for end in proposal.run.ends:
                self._stop((end.thread, end.seq))
            for attempt in proposal.run.attempts:
                self._begin((attempt.thread, attempt.seq))

    def cancel(self, thread: str, request: int | None = None) -> None:
        """Stop the runs of `thread`, or that one, now; each answers that it was cancelled."""
        for key, task in self._tasks.items():
            if key[0] == thread and request in (None, key[1]):
                task.cancel(msg=Reason.CANCELLED)

    def heard(self, thread: str, record: str, request: int | None) -> None:
        """Act on an effect of the control lane: a thread that was cancelled or closed has no use for its runs."""
        if record in (CANCEL, CLOSE_LANE):
            self.cancel(thread, request)

    async def close(self) -> None:
        """Stop; runs stay open, for another node or the next life."""
        await self._sweep.close()
        tasks = [*self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._sweep.started:
            await self._loop.run(self._attempts.carrier.close())
        await asyncio.to_thread(self._loop.close)

    def _begin(self, key: Key) -> None:
        """An attempt that is under way is left: it is of an earlier one, and ends when it finds that out."""
        before = self._tasks.get(key)
        task = asyncio.create_task(self._run(key, before), name="run")
        self._tasks[key] = task
        task.add_done_callback(lambda done: self._ended(key, done))

    def _ended(self, key: Key, task: asyncio.Task[None]) -> None:
        if self._tasks.get(key) is task:
            del self._tasks[key]
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.warning("a run was left, it stays open", thread=key[0], request=key[1], error=repr(error))

    def _stop(self, key: Key) -> None:
        task = self._tasks.pop(key, None)
        if task is not None:
            task.cancel()

    async def _run(self, key: Key, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        async with self._slots:
            run = (await self._runs.standing([key])).get(key)
            if run is None or run.ended_at is not None:
                return
            await self._answer(run.open)

    async def _answer(self, run: OpenRun) -> None:
        attempt = await self._attempts.prepare(run)
        if attempt is None:
            return
        try:
            answer = await self._loop.run(attempt.carry_out())
        except asyncio.CancelledError as stopped:
            if Reason.CANCELLED not in stopped.args:
                raise
            answer = attempt.cancelled()
        await self._attempts.publish(run, answer)
        self.answered += 1

    async def _adopt(self) -> None:
        """Carry out runs that are open and that nobody carries out, as far as can be told."""
        now = asyncio.get_running_loop().time()
        found = await self._runs.open(self._limits.runs_in_flight_max)
        seen: dict[Key, float] = {}
        for run in found:
            key = (run.candidate.thread, run.candidate.sequence)
            seen[key] = since = self._seen.get(key, now)
            if key not in self._tasks and (not self._shared or now - since > self._attempts.seconds_max(run)):
                self._begin(key)
        self._seen = seen
