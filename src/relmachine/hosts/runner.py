"""Carries out the runs that turns open: outside any turn, each to an answer on the stream.

Nothing rests on who runs a step: a run that is carried out twice gives two answers, of which the first on the stream
counts. So a runner may be stopped at any moment; whoever finds the run open, and in nobody's hands, carries it out,
from its drafts where it is durable. A step whose answer is on the stream already, as when a store is built again, is
not carried out.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

import structlog

from relmachine.hosts.run_places import Here, Key, RunPlaces
from relmachine.hosts.run_tasks import RunTasks
from relmachine.hosts.sweep import Sweep
from relmachine.kernel.lane import CANCEL, CLOSE_LANE

if TYPE_CHECKING:
    from collections.abc import Callable

    from relmachine.hosts.run_attempt import Attempts
    from relmachine.kernel.limits import Limits
    from relmachine.kernel.proposal import Proposal
    from relmachine.store.runs import Runs

_log = structlog.get_logger(__name__)

ADOPTED_MAX = 1024
"""Runs that a node has in hand, those that wait for a place too, when it takes no more: later sweeps bring the rest."""

LOOKED_AT_MAX = 4096
"""Open runs that one sweep looks at: the next one goes on."""

_START: Key = ("", 0)


class Others(Protocol):
    """The other nodes of the store: `stream.whereabouts.Whereabouts`."""

    async def start(self, holds: Callable[[Key, bool], bool]) -> None:
        """See `Whereabouts.start`."""
        ...

    async def held(self, runs: Collection[Key]) -> frozenset[Key]:
        """See `Whereabouts.held`."""
        ...

    async def close(self) -> None:
        """See `Whereabouts.close`."""
        ...


class Runner:
    """Runs of one node. `others` work on the same store, None when nobody does; `places` says which node has a run."""

    def __init__(
        self,
        runs: Runs,
        attempts: Attempts,
        limits: Limits,
        others: Others | None = None,
        places: RunPlaces | None = None,
    ) -> None:
        self._runs, self._others, self._places = runs, others, places or Here()
        self._tasks = RunTasks(runs, attempts, limits)
        self._placing: dict[Key, asyncio.Task[None]] = {}
        self._cancelled: set[asyncio.Task[None]] = set()
        self._wanted: Counter[Key] = Counter()
        self._yielded: set[Key] = set()
        self._seen: set[Key] = set()
        self._after = self._looked_after = _START
        self._sweep = Sweep("runs", self._adopt)

    @property
    def running(self) -> int:
        """Runs that are carried out here, or wait for a place."""
        return len(self._tasks) + len(self._placing)

    @property
    def answered(self) -> int:
        """Answers that this node has published."""
        return self._tasks.answered

    async def start(self) -> None:
        """Begin; what an earlier life left open comes first. Errors: `unreachable`."""
        self._tasks.start()
        if self._others is not None:
            await self._others.start(self._holds)
        await self._places.start(self.take)
        self._sweep.start()

    def follow(self, proposals: Iterable[Proposal]) -> None:
        """These turns are durable: see that what they opened, or let begin again, is carried out, as far as there is
        room for it; leave what ended.
        """
        for proposal in proposals:
            for end in proposal.run.ends:
                self._tasks.stop((end.thread, end.seq))
            for attempt in proposal.run.attempts:
                if self.running >= ADOPTED_MAX:
                    break
                key = (attempt.thread, attempt.seq)
                task = asyncio.create_task(self._place(key), name="place run")
                self._placing[key] = task
                task.add_done_callback(lambda done, key=key: self._placed(key, done))

    async def take(self, key: Key) -> None:
        """Carry out a run that was placed here, unless another node does; returns when that is over. Raises nothing."""
        if key not in self._tasks:
            try:
                if key in await self._held({key}):
                    return
            except Exception as error:
                # Then it is better carried out twice than by nobody.
                _log.warning("others cannot be asked about a run", thread=key[0], request=key[1], error=repr(error))
        await asyncio.wait([self._tasks.begin(key)])

    def cancel(self, thread: str, request: int | None = None) -> None:
        """Stop the runs of `thread`, or that one, now; each answers that it was cancelled."""
        self._tasks.cancel(thread, request)
        for key, task in self._placing.items():
            if key[0] == thread and request in (None, key[1]) and task.cancel():
                self._cancelled.add(task)

    def heard(self, thread: str, record: str, request: int | None) -> None:
        """Act on an effect of the control lane: a thread that was cancelled or closed has no use for its runs."""
        if record in (CANCEL, CLOSE_LANE):
            self.cancel(thread, request)

    async def close(self) -> None:
        """Stop; runs stay open, for another node or the next life."""
        await self._places.close()
        self._cancelled.clear()
        await self._sweep.close()
        tasks = [*self._placing.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._tasks.close()
        if self._others is not None:
            await self._others.close()

    def _holds(self, key: Key, asker_first: bool) -> bool:
        """Whether whoever asks is to leave the run; one that goes before this node, which wants it too, is let pass."""
        if key in self._tasks:
            return True
        if self._wanted[key] and asker_first:
            self._yielded.add(key)
            return False
        return self._wanted[key] > 0

    def _placed(self, key: Key, task: asyncio.Task[None]) -> None:
        if self._placing.get(key) is task:
            del self._placing[key]
        if task in self._cancelled:
            self._cancelled.discard(task)
            self._tasks.answer_cancelled(key)
        elif not task.cancelled() and (error := task.exception()) is not None:
            _log.warning("a run was not placed, it stays open", thread=key[0], request=key[1], error=repr(error))

    async def _place(self, key: Key) -> None:
        run = await self._tasks.standing(key)
        if run is not None and not await self._places.place(run):
            self._tasks.begin(key)

    async def _adopt(self) -> None:
        """Carry out runs that are open and that nobody has in hand; of a run that other nodes may just be about to
        begin, only when it was open a sweep ago. Those of paused threads wait as their answers would.
        """
        found = await self._runs.awake(LOOKED_AT_MAX, self._after)
        seen, self._seen = self._seen, set(found)
        free = [key for key in found if key not in self._tasks and key not in self._placing]
        if self._others is not None:
            free = [key for key in free if key in seen]
        chosen = free[: max(0, ADOPTED_MAX - self.running)]
        self._go_on(found, free, chosen)
        held = await self._held(chosen)
        for key in chosen:
            if key not in held and key not in self._tasks:
                self._tasks.begin(key)

    def _go_on(self, found: Sequence[Key], free: Sequence[Key], chosen: Sequence[Key]) -> None:
        """Where the next sweep begins: behind what this one took, so that none waits for ever behind some that fail. It
        looks again where others may just be about to begin what was found.
        """
        again, self._looked_after = self._looked_after == self._after, self._after
        if len(chosen) < len(free):
            self._after = chosen[-1] if chosen else self._after
        elif again or self._others is None:
            self._after = found[-1] if len(found) == LOOKED_AT_MAX else _START

    async def _held(self, keys: Collection[Key]) -> Collection[Key]:
        """Those that another node has in hand, or is about to: of two that want a run at the same time one goes first.

        Errors: `unreachable`.
        """
        if self._others is None or not keys:
            return ()
        self._wanted.update(keys)
        try:
            held = await self._others.held(keys)
            return held | self._yielded.intersection(keys)
        finally:
            self._wanted -= Counter(keys)
            self._yielded &= self._wanted.keys()
