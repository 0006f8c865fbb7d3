"""Waiting for somebody else, by a clock that stands still while this process does not run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import TypeVar

_T = TypeVar("_T")

SLICES = 20
"""Pieces of the time waited: one that took twice as long as it should was our own delay, and does not count."""

DELAYED_MAX = 100
"""Pieces that may not count, before it is plain that this process cannot tell the time of another."""


class OutOfPatienceError(Exception):
    """The other side took too long; `delayed` when it may as well have been this process."""

    def __init__(self, delayed: bool) -> None:
        super().__init__("delayed" if delayed else "no answer in time")
        self.delayed = delayed


async def patiently(answer: Awaitable[_T], seconds_max: float) -> _T:
    """The answer, unless it takes more than `seconds_max` in which this process ran; then it is cancelled.

    A process that was stopped and goes on finds every deadline passed at once, with the answer waiting unread: the
    time it missed must not be held against the one who answered.
    Errors: `OutOfPatienceError`; whatever `answer` raises.
    """
    task = asyncio.ensure_future(answer)
    slice_seconds = seconds_max / SLICES
    counted = delayed = 0
    try:
        while counted < SLICES and delayed < DELAYED_MAX:
            begun = time.monotonic()
            done, _ = await asyncio.wait({task}, timeout=slice_seconds)
            if done:
                return task.result()
            late = time.monotonic() - begun > 2 * slice_seconds
            counted, delayed = counted + (not late), delayed + late
        raise OutOfPatienceError(counted < SLICES)
    finally:
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
