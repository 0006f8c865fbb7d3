"""Whether a process that somebody wrote down still lives. Its id alone does not tell: ids are used again."""

from __future__ import annotations

import subprocess
from pathlib import Path

_PROC = Path("/proc")


def birth(pid: int) -> str | None:
    """When the process began, in a form that no other process of this id shares, before or after; None when it does
    not live. One that ended and was not asked for its exit code yet does not.

    Source: proc(5), /proc/PID/stat, third and 22nd field; the latter counts from the system's start, hence its id.
    """
    if not (_PROC / "self" / "stat").exists():
        return _birth_by_ps(pid)
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    if fields[0] in {"Z", "X"}:
        return None
    return f"{_system()} {fields[19]}"


def lives(pid: int) -> bool:
    """Whether some process of this id lives: enough for a child, whose id is not given away while it is one."""
    return birth(pid) is not None


def _system() -> str:
    try:
        return (_PROC / "sys" / "kernel" / "random" / "boot_id").read_text().strip()
    except OSError:
        return ""


def _birth_by_ps(pid: int) -> str | None:
    listed = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, began = listed.stdout.strip().partition(" ")
    return None if not state or state.startswith("Z") else began.strip()
