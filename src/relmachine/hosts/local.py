"""The embedded host: turns run in this process, one at a time per thread, gathered into rounds.

While a round runs, hints for its threads and for others pile up; the next round takes as many as the limits allow. So
a busy node works in large batches and an idle one answers at once, without a timer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from relmachine.kernel.limits import Limits


class RoundRunner(Protocol):
    """What runs the turns."""

    async def run(self, threads: Sequence[str]) -> Mapping[str, int]:
        """One turn for each thread; returns committed cursors."""
        ...


@dataclass(slots=True)
class _Demand:
    """Who waits for a thread, for which sequence; and how far its last turn came, when there was one."""

    waiting: list[tuple[int, asyncio.Future[int]]] = field(default_factory=list[tuple[int, asyncio.Future[int]]])
    reached: int = -1


class LocalHost:
    """Implements `Host` in process."""

    def __init__(self, rounds: RoundRunner, limits: Limits) -> None:
        self._rounds, self._limits = rounds, limits
        self._demands: dict[str, _Demand] = {}
        self._ready: dict[str, None] = {}
        self._busy: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    @property
    def waiting(self) -> int:
        """Threads with hints that no round has taken yet."""
        return len(self._ready)

    async def advance(self, thread: str, hint: int) -> int:
        """See `Host.advance`."""
        if self._closing:
            raise asyncio.CancelledError
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._demands.setdefault(thread, _Demand()).waiting.append((hint, future))
        if thread not in self._busy:
            self._ready[thread] = None
        asyncio.get_running_loop().call_soon(self._pump)
        return await future

    async def close(self) -> None:
        """See `Host.close`."""
        self._closing = True
        self._ready.clear()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for demand in self._demands.values():
            for _, future in demand.waiting:
                future.cancel()
        self._demands.clear()

    def _pump(self) -> None:
        while self._ready and len(self._tasks) < self._limits.rounds_in_flight_max:
            chosen = list(self._ready)[: self._limits.threads_per_round_max]
            for thread in chosen:
                del self._ready[thread]
                self._busy.add(thread)
            task = asyncio.create_task(self._round(chosen), name="round")
            self._tasks.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._pump()

    async def _round(self, threads: list[str]) -> None:
        try:
            cursors = await self._rounds.run(threads)
        except Exception as error:
            for thread in threads:
                self._busy.discard(thread)
                for _, future in self._demands.pop(thread, _Demand()).waiting:
                    _fail(future, error)
        else:
            for thread in threads:
                self._busy.discard(thread)
                self._answer(thread, cursors[thread])

    def _answer(self, thread: str, cursor: int) -> None:
        """Answer who asked for no more than `cursor`; run again for the others while the cursor still moves."""
        demand = self._demands.pop(thread, _Demand())
        moved = cursor > demand.reached
        rest: list[tuple[int, asyncio.Future[int]]] = []
        for hint, future in demand.waiting:
            if hint > cursor and moved and not self._closing:
                rest.append((hint, future))
            elif not future.done():
                future.set_result(cursor)
        if rest:
            self._demands[thread] = _Demand(rest, reached=cursor)
            self._ready[thread] = None


def _fail(future: asyncio.Future[int], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
