"""CPU seconds of processes, as the kernel counts them: what a step costs, whatever the wall clock says."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def cpu_seconds(pids: Iterable[int]) -> float | None:
    """User and system time of the processes, ended children included; None where /proc does not tell.

    A process that is gone counts as 0. Source: proc(5), fields 14 to 17 of /proc/PID/stat.
    """
    if not Path("/proc/self/stat").exists():
        return None
    return sum(_one(pid) for pid in pids)


def families(pids: Iterable[int]) -> list[int]:
    """The processes and all that they started, and so on: a supervisor stands for its cluster."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        pid = int(folder.name)
        if fields := _after_name(pid):
            children.setdefault(int(fields[1]), []).append(pid)
    found: list[int] = []
    queue = list(dict.fromkeys(pids))
    while queue:
        pid = queue.pop()
        if pid not in found:
            found.append(pid)
            queue += children.get(pid, [])
    return found


def _one(pid: int) -> float:
    return sum(int(ticks) for ticks in _after_name(pid)[11:15]) / _TICKS_PER_SECOND


def _after_name(pid: int) -> list[str]:
    """The fields from the third on; none of a process that is gone. A name may hold spaces and brackets."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return []
