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
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress

BUSY_SHARE_MAX = 0.5
"""Of a core: a process that uses more has no right to be ahead of others all the time."""

LOOK_SECONDS = 0.25
"""Between two looks at what it uses."""

AGAIN_SECONDS = 2.0
"""How long one that was busy is like others before it is looked at again. It may seem calm then because others left it
no more: so it is ahead of them for about a ninth of the time."""

_ME = 0
_UNKNOWN, _OTHER, _FIFO, _ROUND_ROBIN = -1, 0, 1, 2
"""Linux's numbers of policies: elsewhere `os` has no names for them, and every policy is unknown."""

_AHEAD = (_FIFO, _ROUND_ROBIN)
_PRIORITY = 1


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
            _lower(_ME)


async def stay_at_once() -> None:
    """All threads of this process, until this is cancelled, but while they use more than `BUSY_SHARE_MAX` of a core:
    whoever floods it does not get the machine by it. Returns where that is not allowed, or was somebody else's wish.
    """
    if is_at_once():
        return
    busy = 0.0
    try:
        while _settle(at_once=busy <= BUSY_SHARE_MAX) or busy > BUSY_SHARE_MAX:
            used, began = time.process_time(), time.monotonic()
            await asyncio.sleep(LOOK_SECONDS if busy <= BUSY_SHARE_MAX else AGAIN_SECONDS)
            busy = (time.process_time() - used) / (time.monotonic() - began)
    finally:
        _settle(at_once=False)


def is_at_once() -> bool:
    """Whether the calling thread has it."""
    return _policy(_ME) in _AHEAD


def _settle(*, at_once: bool) -> bool:
    """Let all threads have it, or none that was given it here; whether the calling one has it now."""
    for thread in threading.enumerate():  # not /proc, which a process that is out of descriptors cannot list
        if thread.native_id is None:
            continue
        if at_once and _may(thread.native_id):
            _raise(thread.native_id)
        else:
            _lower(thread.native_id)
    return is_at_once()


def _raise(thread: int) -> bool:
    return _policy(thread) == _OTHER and _may(thread) and _give(thread, _ROUND_ROBIN, _PRIORITY)


def _lower(thread: int) -> None:
    with suppress(OSError):
        if _policy(thread) == _ROUND_ROBIN and os.sched_getparam(thread).sched_priority == _PRIORITY:
            _give(thread, _OTHER, 0)


def _may(thread: int) -> bool:
    """What was put behind others on purpose stays there."""
    with suppress(OSError):  # a thread that ended
        return os.getpriority(os.PRIO_PROCESS, thread) <= 0
    return False


def _give(thread: int, policy: int, priority: int) -> bool:
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
