"""Who writes to a file next: control goes before data. For the writers of one process; `file_order` for several.

SQLite has one writer at a time, and lets go of the file within the call that commits. So data is not put in order by a
lock of ours, which would be held until a thread has the interpreter again: it only does not begin while somebody urgent
is on the way. That is a courtesy. Who may write at all, the store's fence decides.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

GIVE_WAY_SECONDS_MAX = 2.0
"""How long data waits for whoever is urgent; one that takes longer is stuck, or was stopped."""


class Order(Protocol):
    """Who writes next: `WriteOrder` within a process, `FileOrder` among several."""

    def urgent(self) -> AbstractContextManager[None]:
        """In the block no data begins to be written; what has begun may have to be waited for."""
        ...

    def expected(self) -> bool:
        """Whether somebody urgent is on the way."""
        ...

    def give_way(self) -> None:
        """Return when those are through who are urgent and on the way, after `GIVE_WAY_SECONDS_MAX` in any case."""
        ...


class WriteOrder:
    """The order of the writers of one process."""

    def __init__(self) -> None:
        self._free = threading.Condition()
        self._urgent = self._through = 0

    @contextmanager
    def urgent(self) -> Generator[None]:
        """In the block no data begins to be written."""
        with self._free:
            self._urgent += 1
        try:
            yield
        finally:
            with self._free:
                self._urgent -= 1
                self._through += not self._urgent
                self._free.notify_all()

    def expected(self) -> bool:
        """Whether somebody urgent is on the way."""
        return bool(self._urgent)

    def give_way(self) -> None:
        """Return when those are through who are urgent now: who comes at once behind them is for the next part."""
        with self._free:
            before = self._through
            self._free.wait_for(lambda: not self._urgent or self._through != before, GIVE_WAY_SECONDS_MAX)
