"""The embedded host: turns run in this process, one at a time per thread, gathered into rounds.

While a round runs, hints for its threads and for others pile up; the next round takes as many as the limits allow. So
a busy node works in large batches and an idle one answers at once, without a timer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import structlog

from relmachine.errors import Code, RelmError
from relmachine.hosts.cursors import Cursors
from relmachine.hosts.parking import Parking
from relmachine.hosts.pauses import Pauses

if TYPE_CHECKING:
    from relmachine.kernel.limits import Limits

_log = structlog.get_logger(__name__)

CLOSE_SECONDS_MAX = 5.0
"""How long closing waits for the rounds that run. What a round that is stopped then has committed, the store knows."""

_Waiting = list[tuple[int, asyncio.Future[int]]]
"""Who waits for a thread, and for which stream sequence."""


class RoundRunner(Protocol):
    """What runs the turns."""

    async def run(self, threads: Sequence[str], hinted: Mapping[str, int]) -> Mapping[str, int]:
        """One turn for each thread, of which a step at the sequence `hinted` is known; returns committed cursors."""
        ...


class LocalHost:
    """Implements `Host` in process. `cursors` says what its turns have committed, and whatever else is noted there."""

    def __init__(self, rounds: RoundRunner, limits: Limits, pauses: Pauses | None = None) -> None:
        self.cursors = Cursors(limits.hot_threads_max)
        self._rounds, self._limits = rounds, limits
        self._asked: dict[str, _Waiting] = {}
        self._reached: dict[str, int] = {}
        self._pumping = False
        self._busy: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._parking: Parking | None = None
        self._pauses = pauses or Pauses()
        self._closing = False

    @property
    def waiting(self) -> int:
        """Threads with hints that no round has taken yet."""
        return len(self._asked)

    @property
    def parked(self) -> int:
        """Threads whose last turn failed by itself; they are tried again after a while."""
        return len(self._parking or ())

    async def advance(self, thread: str, hint: int) -> int:
        """See `Host.advance`. What is known to be decided takes no turn; a parked thread answers with the error that
        parked it."""
        loop = asyncio.get_running_loop()
        self._parking = self._parking or Parking(loop.time)
        if self._closing:
            raise asyncio.CancelledError
        if (known := self.cursors.reached(thread)) >= hint:
            return known
        if (reason := self._parking.reason(thread)) is not None:
            raise reason
        future: asyncio.Future[int] = loop.create_future()
        # Who gave up waiting is dropped here: while the store is away the same thread is asked for again and again.
        waiting = [one for one in self._asked.get(thread, ()) if not one[1].done()]
        self._asked[thread] = [*waiting, (hint, future)]
        if not self._pumping:
            self._pumping = True
            loop.call_soon(self._pump)
        return await future

    def reached(self, thread: str) -> int:
        """See `Host.reached`."""
        return self.cursors.reached(thread)

    def resting(self, thread: str) -> float:
        """See `Host.resting`: what is left of its waiting for a thread that is parked, or while it is paused."""
        parked = 0.0 if self._parking is None else self._parking.seconds(thread)
        return max(parked, self._pauses.seconds(thread))

    async def close(self) -> None:
        """See `Host.close`."""
        self._closing = True
        if self._tasks:
            _, running = await asyncio.wait(self._tasks, timeout=CLOSE_SECONDS_MAX)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        for waiting in self._asked.values():
            for _, future in waiting:
                future.cancel()
        self._asked.clear()

    def _pump(self) -> None:
        """Start rounds with the threads that wait and are not in one, as far as the limits allow."""
        self._pumping = False
        while not self._closing and len(self._tasks) < self._limits.rounds_in_flight_max:
            free = [thread for thread in self._asked if thread not in self._busy]
            chosen = {thread: self._asked.pop(thread) for thread in free[: self._limits.threads_per_round_max]}
            if not chosen:
                return
            self._busy.update(chosen)
            task = asyncio.create_task(self._round(chosen), name="round")
            self._tasks.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._pump()

    async def _round(self, chosen: Mapping[str, _Waiting]) -> None:
        """Run the threads together; when that fails by itself, one by one, so that only the one at fault waits."""
        try:
            await self._turns(chosen)
        except asyncio.CancelledError:
            self._fail(chosen, _stopped())
            raise
        except BaseException as error:
            if len(chosen) == 1 or _nobodys_fault(error):
                self._fail(chosen, error)
                return
            _log.warning("a round failed, its threads run one by one", threads=len(chosen), error=repr(error))
            for thread, waiting in chosen.items():
                try:
                    await self._turns({thread: waiting})
                except asyncio.CancelledError:
                    self._fail(chosen, _stopped())
                    raise
                except BaseException as alone:
                    self._fail({thread: waiting}, alone)
        finally:
            self._busy.difference_update(chosen)

    async def _turns(self, chosen: Mapping[str, _Waiting]) -> None:
        hinted = {thread: max(hint for hint, _ in waiting) for thread, waiting in chosen.items()}
        cursors = await self._rounds.run(list(chosen), hinted)
        for thread, waiting in chosen.items():
            if self._parking is not None:
                self._parking.leave(thread)
            self._answer(thread, waiting, cursors[thread])

    def _answer(self, thread: str, waiting: _Waiting, cursor: int) -> None:
        """Answer who asked for no more than `cursor`; the others wait for another turn while the cursor still moves."""
        self.cursors.note(thread, cursor)
        moved = cursor > self._reached.pop(thread, -1)
        rest: _Waiting = []
        for hint, future in waiting:
            if hint > cursor and moved and not self._closing and not future.done():
                rest.append((hint, future))
            elif not future.done():
                future.set_result(cursor)
        if rest:
            meanwhile = self._asked.pop(thread, [])
            if not meanwhile:
                self._reached[thread] = cursor
            self._asked[thread] = rest + meanwhile

    def _fail(self, chosen: Mapping[str, _Waiting], error: BaseException) -> None:
        """Answer everybody who waits; whatever it was, nobody may wait for ever."""
        if not isinstance(error, Exception):
            error = RelmError(Code.INTERNAL, f"a turn ended by {error!r}: look at the closures of its steps")
        for thread, waiting in chosen.items():
            self._reached.pop(thread, None)
            if not _nobodys_fault(error) and self._parking is not None:
                self._parking.park(thread, error)
            for _, future in waiting:
                if not future.done():
                    future.set_exception(error)


def _stopped() -> RelmError:
    return RelmError(Code.UNREACHABLE, "the turn was stopped: its hints come again")


def _nobodys_fault(error: BaseException) -> bool:
    """Whether a part is away rather than something wrong with a thread."""
    return isinstance(error, OSError) or (isinstance(error, RelmError) and error.code is Code.UNREACHABLE)
