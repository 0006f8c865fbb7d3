"""The recent end of the step stream, kept from what the hint consumer delivers.

A read that falls wholly inside what is kept needs no request. This never weakens a read: the kept range has no hole,
because it grows only by the very next sequence of a stream from which nothing is ever deleted; anything else starts
the range anew. Reads below it, and threads whose messages were dropped to stay in bounds, go to the stream.
"""

from __future__ import annotations

from collections import OrderedDict, deque

from relmachine.kernel.envelope import Message
from relmachine.stream.bounds import StreamBounds


class Tail:
    """Messages with sequences in (`start`, `end`], by thread, minus those dropped from the front of a thread."""

    def __init__(self, bounds: StreamBounds) -> None:
        self._bytes_max = bounds.tail_bytes_max
        self._threads_max = bounds.tail_threads_max
        self._begun = False
        self._clear(0)

    @property
    def bytes(self) -> int:
        """Bytes of the bodies kept."""
        return self._bytes

    def extend(self, message: Message) -> None:
        """The hint consumer delivered `message` (again, perhaps)."""
        if message.sequence <= self._end:
            return
        if message.sequence != self._end + 1 or not self._begun:
            self._begun = True
            self._clear(message.sequence - 1)
        self._end = message.sequence
        self._order.append(message)
        self._threads.setdefault(message.thread, deque()).append(message)
        self._bytes += len(message.body)
        while self._bytes > self._bytes_max:
            self._drop_oldest()

    def done(self, sequence: int) -> None:
        """The message at `sequence` is committed: its body may go.

        Only the oldest go, so the call is cheap, and an older message that is not done keeps those after it.
        """
        if self._order and sequence >= self._order[0].sequence:
            self._finished.add(sequence)
        while self._order and self._order[0].sequence in self._finished:
            self._drop_oldest()

    def read(self, thread: str, after: int, limit: int) -> list[Message] | None:
        """All messages of `thread` above `after` that were delivered so far, in order, at most `limit`.

        None when only the stream knows.
        """
        if not self._begun or after < max(self._start, self._dropped.get(thread, 0)):
            return None
        kept = self._threads.get(thread)
        if kept is None:
            return []
        if kept[0].sequence > after and len(kept) <= limit:
            return list(kept)
        return [message for message in kept if message.sequence > after][:limit]

    def _drop_oldest(self) -> None:
        message = self._order.popleft()
        self._finished.discard(message.sequence)
        kept = self._threads[message.thread]
        kept.popleft()
        if not kept:
            del self._threads[message.thread]
        self._bytes -= len(message.body)
        self._dropped[message.thread] = message.sequence
        self._dropped.move_to_end(message.thread)
        if len(self._dropped) > self._threads_max:
            # Forgetting where the longest idle thread was cut is safe once reads below that point are not served.
            _, sequence = self._dropped.popitem(last=False)
            self._start = max(self._start, sequence)

    def _clear(self, start: int) -> None:
        self._start = self._end = start
        self._order: deque[Message] = deque()
        self._threads: dict[str, deque[Message]] = {}
        self._dropped: OrderedDict[str, int] = OrderedDict()
        self._finished: set[int] = set()
        self._bytes = 0
