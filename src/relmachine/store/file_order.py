"""Who writes to a file next, among processes.

SQLite itself lets a process that waits try again now and then, beside one that never pauses. A lock of the kernel's
wakes it as soon as the file is free, and a process that dies holds none. Nobody is put before others: whoever waits has
the place after the transaction that runs, since the writer that ends it has to ask anew.
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
        self._path = f"{path}-turn"
        self._within = threading.Lock()

    @contextmanager
    def urgent(self) -> Generator[None]:
        """Hold the place of a writer; threads of this process that are not urgent do not stand before it."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def ordinary(self) -> Generator[None]:
        """Hold the place of a writer; one thread of this process at a time asks for it."""
        with self._within, self.urgent():
            yield
