"""Logs of the processes: one file each, bounded in size, and their last lines for error messages."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

FOLDER_NAME = "logs"
LOG_BYTES_MAX = 16 * 1024 * 1024
"""Size from which on a log is moved aside; the one before it is dropped, so a process has at most twice this."""

LOOK_SECONDS = 5.0
"""How often sizes are looked at."""

_TAIL_BYTES = 16 * 1024


def log_file(cluster: Path, name: str) -> Path:
    """The log of the process `name`."""
    return cluster / FOLDER_NAME / f"{name}.log"


def last_lines(path: Path, lines: int = 8) -> list[str]:
    """The last lines of a log; none when there is no log."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            return file.read().decode(errors="replace").splitlines()[-lines:]
    except OSError:
        return []


def bound(path: Path, bytes_max: int = LOG_BYTES_MAX) -> bool:
    """Copy a log that has grown too large to `*.1` and empty it; empty it all the same where there is no room for the
    copy. Whether it did. Never raises: a log that cannot be bounded grows on.

    The process goes on writing to the same file, opened for appending, and needs to know nothing. What it writes
    between the copy and the emptying is lost.
    """
    aside = path.with_name(path.name + ".1")
    try:
        if path.stat().st_size <= bytes_max:
            return False
        try:
            shutil.copyfile(path, aside)
        except OSError:
            aside.unlink(missing_ok=True)  # half of it takes room as well
        os.truncate(path, 0)
    except OSError:
        return False
    return True
