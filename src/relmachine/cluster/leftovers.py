"""Processes that outlived their supervisor. On Linux the kernel kills them with it; elsewhere, and whatever happened,
the next `relm up` or `relm down` finds them by the mark in their environment and ends them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from relmachine.cluster.child import MARK, mark_of

_LOOK_SECONDS = 0.02


def leftovers(cluster: Path) -> dict[int, str]:
    """Process id and name of every living process of the cluster in the folder, this one left out."""
    prefix = f"{MARK}={mark_of(cluster, '')}"
    return {
        pid: variable.removeprefix(prefix)
        for pid, environment in _environments()
        for variable in environment
        if variable.startswith(prefix) and pid != os.getpid()
    }


def end_leftovers(cluster: Path, seconds_max: float = 5.0, *, of: Collection[str] | None = None) -> list[str]:
    """End them, politely for `seconds_max`, then by SIGKILL; returns their names. Call while holding the folder. With
    `of` only what carries the mark of one of these processes.
    """
    told: dict[int, str] = {}
    polite, deadline = time.monotonic() + seconds_max, time.monotonic() + 2 * seconds_max
    # Looked for again and again: one that is ended may have started another meanwhile.
    while (left := _marked(cluster, of)) and time.monotonic() < deadline:
        fresh = {pid: name for pid, name in left.items() if pid not in told}
        _signal(fresh, signal.SIGTERM)
        _signal(fresh, signal.SIGCONT)  # a frozen process hears nothing else
        if time.monotonic() > polite:
            _signal(left, signal.SIGKILL)
        told |= fresh
        time.sleep(_LOOK_SECONDS)
    return sorted(set(told.values()))


def _marked(cluster: Path, of: Collection[str] | None) -> dict[int, str]:
    return {pid: name for pid, name in leftovers(cluster).items() if of is None or name in of}


def _signal(found: dict[int, str], sign: signal.Signals) -> None:
    for pid in found:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, sign)


def _environments() -> Iterator[tuple[int, list[str]]]:
    """Process id and environment of every process that this user may look into."""
    if Path("/proc/self/environ").exists():
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    yield int(entry.name), (entry / "environ").read_bytes().decode(errors="replace").split("\0")
        return
    listed = subprocess.run(["ps", "axeww", "-o", "pid=,command="], capture_output=True, text=True, check=False)
    for line in listed.stdout.splitlines():
        pid, _, words = line.strip().partition(" ")
        if pid.isdigit():
            yield int(pid), words.split()
