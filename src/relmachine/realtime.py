"""Whoever is waited for by a thread that is ahead of others runs at once, on Linux and where the kernel allows it: to
root, by the limit `rtprio`, or by the capability `SYS_NICE`. Elsewhere everything works as well, only later.

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
from contextlib import contextmanager

BUSY_SHARE_MAX = 0.5
"""Of a core: a thread that uses more has no right to be ahead of others all the time."""

LOOK_SECONDS = 0.25
"""Between two looks at what it uses."""


@contextmanager
def at_once() -> Generator[bool]:
    """In the block the calling thread runs as soon as it can, and before all that are not as urgent; yields whether.

    Threads that it starts within have it too, and keep it. One that was given another policy on purpose keeps that.
    """
    has = is_at_once()
    raised = not has and _set(at_once=True)
    try:
        yield has or raised
    finally:
        if raised:
            _set(at_once=False)


async def stay_at_once() -> None:
    """The calling thread, until this is cancelled, but while it uses more than `BUSY_SHARE_MAX` of a core: whoever
    floods it does not get the machine by it. Returns where it may not have it, or was started with it.
    """
    if is_at_once():
        return
    with at_once() as has:
        busy = 0.0
        while has and _set(at_once=busy <= BUSY_SHARE_MAX):
            used, began = time.thread_time(), time.monotonic()
            await asyncio.sleep(LOOK_SECONDS)
            busy = (time.thread_time() - used) / (time.monotonic() - began)


def is_at_once() -> bool:
    """Whether the calling thread has it."""
    return sys.platform == "linux" and _policy() in (os.SCHED_RR, os.SCHED_FIFO)


def _policy() -> int:
    return os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK


def _set(*, at_once: bool) -> bool:
    """Whether the kernel did it. What was put behind others on purpose stays there."""
    if sys.platform != "linux" or os.getpriority(os.PRIO_PROCESS, 0) > 0:
        return False
    if _policy() not in (os.SCHED_OTHER, os.SCHED_RR):
        return False
    policy, priority = (os.SCHED_RR, 1) if at_once else (os.SCHED_OTHER, 0)
    try:
        os.sched_setscheduler(0, policy, os.sched_param(priority))
    except OSError:
        return False
    return True
