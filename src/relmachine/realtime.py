"""Whoever is waited for by what is ahead of others runs at once, on Linux and where the kernel allows it: to root, by
the limit `rtprio`, or by the capability `SYS_NICE`. Elsewhere everything works as well, only later.

Priority (`relmachine.priority`) shares a core out; it does not say when. A thread that wakes up on a busy machine waits
for whoever runs to use up its slice, some milliseconds each time, and a control record is a dozen of such moments.
Source: sched(7), the policy SCHED_RR.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

BUSY_SHARE_MAX = 0.5
"""Of a core: a process that uses more has no right to be ahead of others all the time."""

LOOK_SECONDS = 0.25
"""Between two looks at what it uses."""

AGAIN_SECONDS = 2.0
"""How long one that was busy is like others before it is looked at again. It may seem calm then because others left it
no more: so it is ahead of them for a ninth of the time at most."""

_ME = 0
_UNKNOWN = -1


@contextmanager
def at_once() -> Generator[bool]:
    """In the block the calling thread runs as soon as it can, and before all that are not as urgent; yields whether.

    Threads that it starts within have it too, and keep it. One that was given another policy on purpose keeps that.
    """
    before = is_at_once()
    raised = not before and _raise(_ME)
    try:
        yield before or raised
    finally:
        if raised:
            _give(_ME, at_once=False)


async def stay_at_once() -> None:
    """All threads of this process, until this is cancelled, but while they use more than `BUSY_SHARE_MAX` of a core:
    whoever floods it does not get the machine by it. Returns where that is not allowed, or was somebody else's wish.
    """
    if is_at_once():
        return
    busy = 0.0
    try:
        while _raise_all() if busy <= BUSY_SHARE_MAX else _lower_all():
            used, began = time.process_time(), time.monotonic()
            await asyncio.sleep(LOOK_SECONDS if busy <= BUSY_SHARE_MAX else AGAIN_SECONDS)
            busy = (time.process_time() - used) / (time.monotonic() - began)
    finally:
        _lower_all()


def is_at_once() -> bool:
    """Whether the calling thread has it."""
    return sys.platform == "linux" and _policy(_ME) in (os.SCHED_RR, os.SCHED_FIFO)


def _raise_all() -> bool:
    """Whether the calling thread has it now."""
    for thread in _threads():
        _raise(thread)
    return is_at_once()


def _lower_all() -> bool:
    for thread in _threads():
        if sys.platform == "linux" and _policy(thread) == os.SCHED_RR:
            _give(thread, at_once=False)
    return True


def _raise(thread: int) -> bool:
    """Whether the kernel did it. What was put behind others on purpose stays there."""
    if sys.platform != "linux" or _policy(thread) != os.SCHED_OTHER:
        return False
    with suppress(OSError):  # a thread that ended
        return os.getpriority(os.PRIO_PROCESS, thread) <= 0 and _give(thread, at_once=True)
    return False


def _give(thread: int, *, at_once: bool) -> bool:
    if sys.platform != "linux":
        return False
    policy, priority = (os.SCHED_RR, 1) if at_once else (os.SCHED_OTHER, 0)
    try:
        os.sched_setscheduler(thread, policy, os.sched_param(priority))
    except OSError:
        return False
    return True


def _policy(thread: int) -> int:
    if sys.platform == "linux":
        with suppress(OSError):  # a thread that ended, or a kernel that does not tell
            return os.sched_getscheduler(thread)
    return _UNKNOWN


def _threads() -> list[int]:
    return [int(task.name) for task in Path("/proc/self/task").iterdir()] if sys.platform == "linux" else []
