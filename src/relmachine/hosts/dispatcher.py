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

    def __init__(self, hints: Hints, host: Host, limits: Limits, in_hand_max: int | None = None) -> None:
        """At most `in_hand_max` hints are worked on together (None: `hints_in_flight_max`), or one batch."""
        self._hints, self._host = hints, host
        self._in_hand_max = limits.hints_in_flight_max if in_hand_max is None else in_hand_max
        self._room = asyncio.Event()
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
            left = list(hints)
            try:
                await self._until_room(left)
            except asyncio.CancelledError:
                await self._hints.again(left)
                raise
            if left:
                self.unfinished += len(left)
                task = asyncio.create_task(self._batch(left), name="hints")
                self._batches.add(task)
                task.add_done_callback(self._finished)

    async def _until_room(self, left: list[Hint]) -> None:
        """Wait until all that is `left` may be worked on, and take out what is decided by then.

        What is not taken from the stream is there for other nodes.
        """
        while True:
            decided = [hint for hint in left if hint.sequence <= self._host.reached(hint.thread)]
            if decided:
                left[:] = [hint for hint in left if hint.sequence > self._host.reached(hint.thread)]
                await self._hints.done(decided)
            if not self.unfinished or self.unfinished + len(left) <= self._in_hand_max:
                return
            self._room.clear()
            await self._room.wait()

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._batches.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a batch of hints was dropped, they will come again", error=repr(error))

    async def _batch(self, hints: Sequence[Hint]) -> None:
        by_thread: dict[str, list[Hint]] = {}
        for hint in hints:
            by_thread.setdefault(hint.thread, []).append(hint)
        turns = (self._thread(thread, group) for thread, group in by_thread.items())
        errors = await asyncio.gather(*turns, return_exceptions=True)
        self._tell({t: error for t, error in zip(by_thread, errors, strict=True) if isinstance(error, Exception)})

    async def _thread(self, thread: str, hints: Sequence[Hint]) -> None:
        """Ask for one thread, and answer its hints by what is committed then. Raises what kept it from a turn."""
        cursor = -1
        try:
            cursor = await self._host.advance(thread, max(hint.sequence for hint in hints))
        finally:
            done = [hint for hint in hints if hint.sequence <= cursor]
            again = [hint for hint in hints if hint.sequence > cursor]
            if done:
                await self._hints.done(done)
            if again:
                await self._hints.again(again, self._host.resting(thread))
            self.unfinished -= len(hints)
            self._room.set()

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
