"""The runs that one node carries out: each a task here, its work in the run loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from relmachine.hosts.run_loop import RunLoop
from relmachine.kernel.answer import Reason

if TYPE_CHECKING:
    from relmachine.hosts.run_attempt import Attempts
    from relmachine.hosts.run_places import Key
    from relmachine.kernel.detached import OpenRun
    from relmachine.kernel.limits import Limits
    from relmachine.store.runs import Runs

_log = structlog.get_logger(__name__)


class RunTasks:
    """Begun by key, each after the one before it of the same run; so many at once."""

    def __init__(self, runs: Runs, attempts: Attempts, limits: Limits) -> None:
        self._runs, self._attempts = runs, attempts
        self._loop = RunLoop()
        self._slots = asyncio.Semaphore(limits.runs_in_flight_max)
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._started = False
        self.answered = 0

    def __len__(self) -> int:
        return len(self._tasks)

    def __contains__(self, key: Key) -> bool:
        return key in self._tasks

    def start(self) -> None:
        """Begin."""
        self._loop.start()
        self._started = True

    def begin(self, key: Key) -> asyncio.Task[None]:
        """Carry out the attempt that the run is at. One that is under way here ends first, and may have been it."""
        before = self._tasks.get(key)
        task = asyncio.create_task(self._run(key, before), name="run")
        self._tasks[key] = task
        task.add_done_callback(lambda done: self._ended(key, done))
        return task

    def stop(self, key: Key) -> None:
        """Leave the run: it has ended."""
        task = self._tasks.pop(key, None)
        if task is not None:
            task.cancel()

    def cancel(self, thread: str, request: int | None = None) -> None:
        """Stop the runs of `thread`, or that one, now; each answers that it was cancelled."""
        for key, task in self._tasks.items():
            if key[0] == thread and request in (None, key[1]):
                task.cancel(msg=Reason.CANCELLED)

    async def answer_cancelled(self, run: OpenRun) -> None:
        """Answer for a run that nobody carries out. Errors: `unreachable`."""
        attempt = await self._attempts.prepare(run)
        if attempt is not None:
            await self._attempts.publish(run, attempt.cancelled())

    async def close(self) -> None:
        """Stop; runs stay open, for another node or the next life."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._started:
            await self._loop.run(self._attempts.carrier.close())
        await asyncio.to_thread(self._loop.close)

    def _ended(self, key: Key, task: asyncio.Task[None]) -> None:
        if self._tasks.get(key) is task:
            del self._tasks[key]
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.warning("a run was left, it stays open", thread=key[0], request=key[1], error=repr(error))

    async def _run(self, key: Key, before: asyncio.Task[None] | None) -> None:
        try:
            if before is not None:
                await asyncio.wait([before])
            async with self._slots:
                run = await self.standing(key)
                if run is not None:
                    await self._answer(run)
        except asyncio.CancelledError as stopped:
            # It had not begun.
            if Reason.CANCELLED not in stopped.args or (run := await self.standing(key)) is None:
                raise
            await self.answer_cancelled(run)

    async def standing(self, key: Key) -> OpenRun | None:
        """The run while it is open. Errors: `unreachable`."""
        run = (await self._runs.standing([key])).get(key)
        return None if run is None or run.ended_at is not None else run.open

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
