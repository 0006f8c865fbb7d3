"""From hints to turns: groups a batch by thread, asks the host once per thread, acknowledges what is committed.

A hint says that something is there, nothing more: what a turn reads, and in which order, comes from the stream. So a
hint may be lost, late or doubled; it is acknowledged only when its sequence is at or below the committed cursor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from relmachine.hosts.port import Host
    from relmachine.kernel.limits import Limits
    from relmachine.stream.port import Hint, Hints

_log = structlog.get_logger(__name__)

_TOLD_MAX = 5
"""Threads, and distinct reasons, that one line of the log names."""


class Dispatcher:
    """Feeds a host from the hints. Bounded by the consumer's own limit of unacknowledged hints."""

    def __init__(self, hints: Hints, host: Host, limits: Limits) -> None:
        self._hints, self._host = hints, host
        self._slots = asyncio.Semaphore(max(1, limits.hints_in_flight_max // limits.hints_per_fetch_max))
        self._batches: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None
        self.unfinished = 0
        self.failures = 0

    def start(self) -> asyncio.Task[None]:
        """Begin to take hints. The task ends only by `close`, or by the error that ended the hints for good."""
        self._task = asyncio.create_task(self._run(), name="dispatcher")
        return self._task

    async def close(self) -> None:
        """Take no more hints and hand back those in hand, so that another node has them at once. Close the hints first:
        else they come back here."""
        if self._task is not None:
            self._task.cancel()
        for batch in self._batches:
            batch.cancel()
        await asyncio.gather(*([self._task] if self._task else []), *self._batches, return_exceptions=True)

    async def _run(self) -> None:
        async for hints in self._hints.batches():
            try:
                await self._slots.acquire()
            except asyncio.CancelledError:
                await self._hints.again(hints)
                raise
            self.unfinished += len(hints)
            task = asyncio.create_task(self._batch(hints), name="hints")
            self._batches.add(task)
            task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._batches.discard(task)
        self._slots.release()
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a batch of hints was dropped, they will come again", error=repr(error))

    async def _batch(self, hints: Sequence[Hint]) -> None:
        by_thread: dict[str, list[Hint]] = {}
        for hint in hints:
            by_thread.setdefault(hint.thread, []).append(hint)
        try:
            answers = await asyncio.gather(
                *(
                    self._host.advance(thread, max(hint.sequence for hint in group))
                    for thread, group in by_thread.items()
                ),
                return_exceptions=True,
            )
            self._tell({t: a for t, a in zip(by_thread, answers, strict=True) if isinstance(a, Exception)})
            done: list[Hint] = []
            again: list[Hint] = []
            for group, answer in zip(by_thread.values(), answers, strict=True):
                cursor = -1 if isinstance(answer, BaseException) else answer
                for hint in group:
                    (done if hint.sequence <= cursor else again).append(hint)
            if done:
                await self._hints.done(done)
            if again:
                await self._hints.again(again)
        except asyncio.CancelledError:
            await self._hints.again(hints)
            raise
        finally:
            self.unfinished -= len(hints)

    def _tell(self, failed: Mapping[str, Exception]) -> None:
        """One line for a batch: a part that is away fails the turns of all its threads, for few reasons."""
        if not failed:
            return
        self.failures += len(failed)
        errors = list(dict.fromkeys(map(repr, failed.values())))
        _log.warning(
            "turns failed, their hints go back",
            count=len(failed),
            threads=list(failed)[:_TOLD_MAX],
            errors=errors[:_TOLD_MAX],
            reasons=len(errors),
        )
