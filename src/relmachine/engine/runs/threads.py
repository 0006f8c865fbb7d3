"""Code of other people in threads of their own, so that the node's loop never waits for it.

A thread cannot be stopped from outside. One whose run is over is left to itself: it is a daemon and reaches nothing.
How many there are is counted, and told in the log with each: code that hangs costs a node memory until it ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from threading import Thread

import structlog

_log = structlog.get_logger(__name__)

_left: set[Thread] = set()


@dataclass(frozen=True, slots=True)
class Returned:
    """What the code returned."""

    value: object


@dataclass(frozen=True, slots=True)
class Raised:
    """What the code raised, whatever it is: it is a value here, so that no loop takes it for its own."""

    error: BaseException


def left_behind() -> int:
    """Threads of this process whose runs are over, and which have not ended."""
    _left.difference_update({thread for thread in _left if not thread.is_alive()})
    return len(_left)


async def in_thread(work: Callable[[], object]) -> Returned | Raised:
    """Run `work` in a new thread. A caller that is cancelled leaves it alone there."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[Returned | Raised] = loop.create_future()

    def deliver(found: Returned | Raised) -> None:
        if not outcome.done():
            outcome.set_result(found)

    def carry_out() -> None:
        try:
            found: Returned | Raised = Returned(work())
        except BaseException as error:
            found = Raised(error)
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(deliver, found)

    thread = Thread(target=carry_out, name="relmachine-run", daemon=True)
    thread.start()
    try:
        return await outcome
    except asyncio.CancelledError:
        _left.add(thread)
        _log.warning("the thread of a run is left behind until its code returns", threads_left=left_behind())
        raise


async def awaited_in_thread(begin: Callable[[], Coroutine[object, object, object]]) -> Returned | Raised:
    """Run a coroutine in a loop of its own, in a new thread. A caller that is cancelled cancels it too."""
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[object]]] = []

    async def whole() -> object:
        task = asyncio.ensure_future(begin())
        running.append((asyncio.get_running_loop(), task))
        return await task

    try:
        return await in_thread(lambda: asyncio.run(whole()))
    except asyncio.CancelledError:
        for loop, task in running:
            with suppress(RuntimeError):  # it has ended by itself
                loop.call_soon_threadsafe(task.cancel)
        raise
