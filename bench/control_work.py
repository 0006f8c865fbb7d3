"""What the node of `bench.control` is given besides cancellations, and when it has done it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench.control_store import outcomes
from bench.meter import read
from bench.publishing import STEP_SUBJECT, flood
from bench.workload import Work

if TYPE_CHECKING:
    from nats.js import JetStreamContext

STANDSTILL_SECONDS_MAX = 60.0
"""Without an outcome more: what has none by then is lost."""

LOOK_SECONDS = 0.02
RESTED_SECONDS = 0.5
RESTED_SHARE = 0.1
"""A node that uses less of one core than this, for so long, is idle."""

RESTED_SECONDS_MAX = 600.0


@dataclass(slots=True)
class Load:
    """Publishes steps, and waits for their outcomes. Threads are counted by the number that their names begin with."""

    stream: JetStreamContext
    store: Path
    _published: Counter[str] = field(default_factory=Counter[str])

    async def taken(self, work: list[Work]) -> float:
        """Publish `work` as fast as the stream takes it, and wait until it is decided: steps a second."""
        started = time.perf_counter()
        await flood(self.stream, STEP_SUBJECT, work)
        if await self.decided(work):
            raise RuntimeError("the node does not decide what it is given")
        return len(work) / (time.perf_counter() - started)

    async def decided(self, work: list[Work]) -> int:
        """Wait until `work`, which somebody published, has outcomes: how many steps have none, or too many."""
        numbers = Counter(item.thread.partition("-")[0] for item in work)
        self._published += numbers
        due = sum(self._published[number] for number in numbers)
        with contextlib.closing(sqlite3.connect(f"file:{self.store}?mode=ro", uri=True)) as db:
            done, since = 0, time.monotonic()
            while done < due and time.monotonic() < since + STANDSTILL_SECONDS_MAX:
                await asyncio.sleep(LOOK_SECONDS)
                before, done = done, outcomes(db, numbers)
                if done != before:
                    since = time.monotonic()
        return abs(due - done)


async def rested(pids: list[int]) -> None:
    """Wait until the node does next to nothing, and the disk: after its last decision it still tells of it, and what it
    wrote is on its way.
    """
    deadline = time.monotonic() + RESTED_SECONDS_MAX
    before = read(pids)
    while True:
        await asyncio.sleep(RESTED_SECONDS)
        now = read(pids)
        spent, before = now - before, now
        if spent.cpu_seconds < RESTED_SHARE * spent.wall_seconds:
            await asyncio.to_thread(os.sync)
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"the node still works {spent.cpu_seconds / spent.wall_seconds:.0%} of the time")
