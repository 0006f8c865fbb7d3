"""How far threads are known to be committed, so that what speaks of a decided step is answered without a turn."""

from __future__ import annotations

from collections import OrderedDict


class Cursors:
    """The committed cursor of at most `capacity` threads, those heard of longest ago forgotten first.

    What is noted is a cursor that the store had; another node may have moved the thread on since. A cursor never goes
    back, so it may be used however old it is.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._cursors: OrderedDict[str, int] = OrderedDict()

    def note(self, thread: str, cursor: int) -> None:
        """Everything of `thread` up to `cursor` is committed, refused or held; a negative one says nothing."""
        if cursor < 0:
            return
        self._cursors[thread] = max(cursor, self._cursors.get(thread, -1))
        self._cursors.move_to_end(thread)
        if len(self._cursors) > self._capacity:
            self._cursors.popitem(last=False)

    def reached(self, thread: str) -> int:
        """How far the thread is, as far as is known here; -1 when nothing is."""
        return self._cursors.get(thread, -1)
