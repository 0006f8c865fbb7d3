"""Who writes to a file next: control goes before data. For the writers of one process; `file_order` for several."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Order(Protocol):
    """Who writes next: `WriteOrder` within a process, `FileOrder` among several."""

    def urgent(self) -> AbstractContextManager[None]:
        """Hold the place of a writer, before all that are not urgent."""
        ...

    def ordinary(self) -> AbstractContextManager[None]:
        """Hold the place of a writer, behind whoever is urgent."""
        ...


class WriteOrder:
    """One writer at a time; whoever is urgent waits for the transaction that runs, and for none that has not begun."""

    def __init__(self) -> None:
        self._free = threading.Condition()
        self._busy = False
        self._urgent = 0

    @property
    def urgent_waiting(self) -> int:
        """How many wait that are urgent."""
        return self._urgent

    @contextmanager
    def urgent(self) -> Generator[None]:
        """Hold the place of a writer, before all that are not urgent."""
        with self._free:
            self._urgent += 1
            try:
                self._free.wait_for(lambda: not self._busy)
            finally:
                self._urgent -= 1
            self._busy = True
        yield from self._held()

    @contextmanager
    def ordinary(self) -> Generator[None]:
        """Hold the place of a writer, behind whoever is urgent."""
        with self._free:
            self._free.wait_for(lambda: not self._busy and not self._urgent)
            self._busy = True
        yield from self._held()

    def _held(self) -> Iterator[None]:
        try:
            yield
        finally:
            with self._free:
                self._busy = False
                self._free.notify_all()
