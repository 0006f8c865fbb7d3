"""Whoever others wait for runs before them, on Linux and where the kernel allows it: to root, by the limit `nice`, or
by the capability `SYS_NICE`. Elsewhere everything works as well, only later on a machine that is busy.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

NICE = -10
"""Nine times the share of one that asks for nothing, while both have something to do. Source: sched(7)."""

_AUTOGROUP = Path("/proc/self/autogroup")


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
    if raised and os.getsid(0) == os.getpid():
        # The kernel may weigh sessions against each other, and processes only within theirs.
        with contextlib.suppress(OSError):
            _AUTOGROUP.write_text(str(NICE))
    return raised
