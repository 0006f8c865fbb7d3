"""Whoever others wait for runs before them, on Linux and where the kernel allows it: to root, by the limit `nice`, or
by the capability `SYS_NICE`. Elsewhere everything works as well, only later on a machine that is busy.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

NICE = -10
"""Nine times the share of one that asks for nothing, while both have something to do. Source: sched(7)."""

_WISHES_MAX, _WISH_AGAIN_SECONDS = 5, 0.11
"""How often a session's priority is asked for, and the time between."""


def raise_thread() -> bool:
    """Of this thread alone, and of those that it starts; whether it has it. On Linux: elsewhere a priority is the
    process's. What was put behind others on purpose stays there.
    """
    if sys.platform != "linux":
        return False
    before = os.getpriority(os.PRIO_PROCESS, 0)
    if before > 0:
        return False
    try:
        os.setpriority(os.PRIO_PROCESS, 0, min(before, NICE))
    except OSError:
        return False
    return True


def raise_process() -> bool:
    """Of this process; whether it has it. Call before it starts threads."""
    raised = raise_thread()
    if raised:
        _raise_session(os.getpid())
    return raised


def started_before_others(start: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    """What `start` starts has it with its first thread, where that is allowed; its session too, if it has its own."""

    def raised() -> tuple[bool, subprocess.Popen[bytes]]:
        return raise_thread(), start()

    with ThreadPoolExecutor(1, thread_name_prefix="starting") as thread:
        has, process = thread.submit(raised).result()
    if has:
        _raise_session(process.pid)
    return process


def _raise_session(leader: int) -> None:
    """The kernel may weigh sessions against each other, and processes only within theirs. It takes one such wish in a
    tenth of a second, from all who are not root together. Source: sched(7), kernel/sched/autogroup.c.
    """
    for _ in range(_WISHES_MAX):
        try:
            if os.getsid(leader) == leader:
                Path(f"/proc/{leader}/autogroup").write_text(str(NICE))
            return
        except BlockingIOError:
            time.sleep(_WISH_AGAIN_SECONDS)
        except OSError:
            return
