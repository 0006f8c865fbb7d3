"""The runs that one node carries out: each a task here, its work in the run loop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import structlog

from relmachine.hosts.run_loop import CLOSE_SECONDS_MAX, RunLoop
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
        self._queued: set[asyncio.Task[None]] = set()
        self._cancelled: set[asyncio.Task[None]] = set()
        self._started = self._closing = False
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
        """Carry out the attempt that the run is at. One that is under way here ends first, and may have been it; of
        those that wait for it one is enough."""
        before = self._tasks.get(key)
        if before is not None and before in self._queued:
            return before
        return self._add(key, self._run(key, before), before)

    def stop(self, key: Key) -> None:
        """Leave the run: it has ended. What is under way of it is cancelled, whoever waits for that."""
        task = self._tasks.pop(key, None)
        if task is not None:
            task.cancel()

    def cancel(self, thread: str, request: int | None = None) -> None:
        """Stop the runs of `thread`, or that one, now; each answers that it was cancelled."""
        for key, task in self._tasks.items():
            if key[0] == thread and request in (None, key[1]) and task.cancel(msg=Reason.CANCELLED):
                self._cancelled.add(task)

    def answer_cancelled(self, key: Key) -> None:
        """Answer for a run that was cancelled before anybody carried it out, once what is under way here has ended."""
        before = self._tasks.get(key)
        self._add(key, self._answer_cancelled(key, before), before)

    async def standing(self, key: Key) -> OpenRun | None:
        """The run while it is open. Errors: `unreachable`."""
        run = (await self._runs.standing([key])).get(key)
        return None if run is None or run.ended_at is not None else run.open

    async def close(self) -> None:
        """Stop; runs stay open, for another node or the next life."""
        self._closing = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._started:
            await self._close_carrier()
        await asyncio.to_thread(self._loop.close)

    async def _close_carrier(self) -> None:
        """What holds its clients, or the loop, longer than that ends with the process."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS_MAX):
                await self._loop.run(self._attempts.carrier.close())
        except TimeoutError:
            _log.warning("clients of models and tools did not close in time", seconds=CLOSE_SECONDS_MAX)

    def _add(self, key: Key, work: Coroutine[Any, Any, None], before: asyncio.Task[None] | None) -> asyncio.Task[None]:
        task = self._tasks[key] = asyncio.create_task(work, name="run")
        if before is not None:
            self._queued.add(task)
        task.add_done_callback(lambda done: self._ended(key, done))
        return task

    def _ended(self, key: Key, task: asyncio.Task[None]) -> None:
        if self._tasks.get(key) is task:
            del self._tasks[key]
        asked_to = task in self._cancelled
        self._cancelled.discard(task)
        self._queued.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.warning("a run was left, it stays open", thread=key[0], request=key[1], error=repr(error))
        elif task.cancelled() and asked_to and not self._closing:
            self.answer_cancelled(key)  # it had not begun, or it would have answered itself

    async def _after(self, before: asyncio.Task[None] | None) -> None:
        """Wait for the task before, which nobody else knows of any more: it may be asking a model."""
        if before is None:
            return
        try:
            await asyncio.wait([before])
        except asyncio.CancelledError as stopped:
            before.cancel(*stopped.args)
            await asyncio.wait([before])
            raise
        self._queued -= {asyncio.current_task()}

    async def _run(self, key: Key, before: asyncio.Task[None] | None) -> None:
        await self._after(before)
        async with self._slots:
            run = await self.standing(key)
            if run is not None:
                await self._answer(run)

    async def _answer_cancelled(self, key: Key, before: asyncio.Task[None] | None) -> None:
        await self._after(before)
        run = await self.standing(key)
        attempt = None if run is None else await self._attempts.prepare(run)
        if run is not None and attempt is not None:
            await self._attempts.publish(run, attempt.cancelled())

    async def _answer(self, run: OpenRun) -> None:
        attempt = await self._attempts.prepare(run)
        if attempt is None:
            return
        try:
            answer = attempt.cancelled() if run.cancelled else await self._loop.run(attempt.carry_out())
        except asyncio.CancelledError as stopped:
            if Reason.CANCELLED not in stopped.args:
                raise
            answer = attempt.cancelled()
        await self._attempts.publish(run, answer)
        self.answered += 1
