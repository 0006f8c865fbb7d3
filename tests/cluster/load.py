"""A load that runs beside what a test does to a cluster: steps published in bursts and at a steady rate, share by
share, and a watch on what the store has decided."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence

from relmachine.ingest.cases import LogStep
from relmachine.store import reading
from tests.cluster.whole import LOOK_SECONDS, Whole, until

CHUNK_SECONDS = 0.2


class Load:
    """Publishes `steps` in order as far as `allow` lets it. Use `Load.on`."""

    def __init__(self, run: Whole, steps: Sequence[LogStep], rate: float) -> None:
        self._run, self._steps = run, steps
        self._chunk = max(1, round(rate * CHUNK_SECONDS))
        self._at_once = self._allowed = self._published = 0
        self._more = asyncio.Event()
        self._before = 0
        self._progress: list[tuple[float, int]] = []
        self._undecided: deque[tuple[float, Mapping[str, int]]] = deque()
        self._waits: list[tuple[float, float]] = []

    @classmethod
    @contextlib.asynccontextmanager
    async def on(cls, run: Whole, steps: Sequence[LogStep], rate: float) -> AsyncGenerator[Load]:
        """The load on `run`, at `rate` steps a second; all of it must be allowed and decided when the block ends."""
        load = cls(run, steps, rate)
        load._before = await run.decided()
        load._progress.append((time.monotonic(), 0))
        tasks = [asyncio.create_task(load._publish()), asyncio.create_task(load._watch())]
        try:
            yield load
            assert load._published == len(steps), "a part of the load was never allowed"
            await load.until_decided(len(steps))
        finally:
            for task in tasks:
                task.cancel()
            for ended in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(ended, Exception):
                    raise ended

    @property
    def decided(self) -> int:
        """Steps of the load that are decided, as far as was seen."""
        return self._progress[-1][1]

    def allow(self, steps: int, *, at_once: int) -> None:
        """Let so many steps in all be published: up to `at_once` without a pause, then at the rate."""
        self._allowed, self._at_once = steps, at_once
        self._more.set()

    async def until_decided(self, steps: int) -> None:
        """Return when so many of them are decided; once all that was published is, also its waits are known."""

        async def enough() -> bool:
            return self.decided >= steps and (self.decided < self._published or not self._undecided)

        what = f"{steps} decided steps of the load"
        await until(enough, what, told=lambda: f"{self._published} are published, {self.decided} decided")

    def longest_pause(self, since: float) -> float:
        """Seconds of the longest time in which nothing at all was decided, of those that ended after `since`."""
        pairs = itertools.pairwise(self._progress)
        return max((after - max(before, since) for (before, _), (after, _) in pairs if after > since), default=0.0)

    def longest_wait(self, since: float) -> float:
        """Seconds from the acknowledgement to the decision of the step that waited longest, among those that were
        decided after `since`; what it waited before that time counts too."""
        return max((waited for decided, waited in self._waits if decided > since), default=0.0)

    async def _publish(self) -> None:
        while self._published < len(self._steps):
            self._more.clear()
            size = max(self._chunk, self._at_once - self._published)
            end = min(self._published + size, self._allowed)
            if end == self._published:
                await self._more.wait()
                continue
            last = await self._run.publish(self._steps[self._published : end])
            self._undecided.append((time.monotonic(), last))
            self._published = end
            await asyncio.sleep(CHUNK_SECONDS)

    async def _watch(self) -> None:
        while True:
            decided = await self._run.decided() - self._before
            now = time.monotonic()
            if decided != self.decided:
                self._progress.append((now, decided))
            while self._undecided and await reading.threads_behind(self._run.store, self._undecided[0][1]) == 0:
                published, _ = self._undecided.popleft()
                self._waits.append((now, now - published))
            await asyncio.sleep(LOOK_SECONDS)
