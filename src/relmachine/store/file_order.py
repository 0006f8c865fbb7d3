"""Who writes to a file next, among processes: control goes before data. SQLite itself lets a waiting process try again
and again beside one that never pauses.

Two files are locked, as the kernel locks them, so that a process that dies holds nothing. Whoever writes holds `turn`;
whoever is urgent holds `gate` as well while it waits, and nobody else comes past that.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


class FileOrder:
    """The order of writers of the store at `path`, as `WriteOrder`; each process has one of its own."""

    def __init__(self, path: Path) -> None:
        self._gate, self._turn = (f"{path}-{name}" for name in ("gate", "turn"))
        self._within = threading.Lock()

    @contextmanager
    def urgent(self) -> Generator[None]:
        """Hold the place of a writer, before all that are not urgent."""
        with _locked(self._gate), _locked(self._turn):
            yield

    @contextmanager
    def ordinary(self) -> Generator[None]:
        """Hold the place of a writer, behind whoever is urgent."""
        with self._within:
            with _locked(self._gate):
                pass
            with _locked(self._turn):
                yield


@contextmanager
def _locked(path: str) -> Generator[None]:
    """The lock of the file at `path`. Closing lets it go; it stays where it is, empty."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
