"""Who writes to a file next, among processes.

A gate before the file, a lock of the kernel: whoever is urgent holds it until it has written, and whoever writes data
looks at it first. A process that dies holds none.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from relmachine.store.write_order import GIVE_WAY_SECONDS_MAX

LOOK_SECONDS = 0.001
"""Between two looks whether the gate is open."""


class FileOrder:
    """The order of writers of the store at `path`, as `WriteOrder`; each process has one of its own."""

    def __init__(self, path: Path) -> None:
        self._gate = f"{path}-next"
        self._within, self._urgent, self._held = threading.Lock(), 0, -1

    @contextmanager
    def urgent(self) -> Generator[None]:
        """In the block no data begins to be written."""
        with self._within:
            if not self._urgent:
                self._held = _locked(self._gate, fcntl.LOCK_EX)
            self._urgent += 1
        try:
            yield
        finally:
            with self._within:
                self._urgent -= 1
                if not self._urgent:
                    os.close(self._held)

    def expected(self) -> bool:
        """Whether somebody urgent is on the way, in whichever process; nobody, where that cannot be seen."""
        try:
            os.close(_locked(self._gate, fcntl.LOCK_SH | fcntl.LOCK_NB))
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def give_way(self) -> None:
        """Return when nobody urgent is on the way. Not a lock that is waited for: that has no end where another process
        was stopped.
        """
        deadline = time.monotonic() + GIVE_WAY_SECONDS_MAX
        while self.expected() and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)


def _locked(path: str, how: int) -> int:
    """A descriptor that holds the lock; closing it lets go."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, how)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
