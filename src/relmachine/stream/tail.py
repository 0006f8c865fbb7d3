"""The recent end of the step stream, kept from what the hint consumer delivers.

A read that falls wholly inside what is kept needs no request. This never weakens a read: the range that was seen has
no hole, because it grows only by the very next sequence of a stream from which nothing is ever deleted; anything else
starts the range anew. Reads below it, of messages that were dropped, and of what is not here, go to the stream: what
the consumer delivered to another node is not here either.
"""

from __future__ import annotations

from collections import OrderedDict
from sys import getsizeof

from relmachine.kernel.candidate import Message
from relmachine.stream.bounds import StreamBounds

MESSAGE_OVERHEAD_BYTES = 336
"""Memory of a message beside its body and its two texts: the object, its places by sequence and in its thread, and
its mark when it is finished. Measured on CPython 3.11 with the tables at their emptiest (`test_tail.py` measures)."""

THREAD_OVERHEAD_BYTES = 160
"""Memory of a thread with messages, beside its text."""

CUT_OVERHEAD_BYTES = 224
"""Memory of knowing where a thread was cut, beside its text."""


TEXT_OVERHEAD_BYTES = 76
"""Memory of a text beside its characters, at most."""


class Tail:
    """Messages with sequences in (`start`, `end`], by thread, minus those dropped from the front of a thread."""

    def __init__(self, bounds: StreamBounds) -> None:
        self._bytes_max = bounds.tail_bytes_max
        self._threads_max = bounds.tail_threads_max
        self._begun = False
        self._clear(0)

    @property
    def bytes(self) -> int:
        """Memory that it takes, everything counted, in bytes: an upper bound."""
        return self._bytes

    def extend(self, message: Message) -> None:
        """The hint consumer delivered `message` (again, perhaps)."""
        if not self._next(message.sequence):
            return
        self._kept[message.sequence] = message
        kept = self._threads.get(message.thread)
        if kept is None:
            kept = self._threads[message.thread] = []
            self._bytes += THREAD_OVERHEAD_BYTES + _text(message.thread)
        kept.append(message)
        self._bytes += _size(message)
        while self._bytes > self._bytes_max:
            self._shrink()

    def pass_over(self, sequence: int) -> None:
        """The hint consumer delivered a message that belongs to no thread."""
        self._next(sequence)

    def done(self, sequence: int) -> None:
        """The message at `sequence` is committed: it may go, once those of its thread before it are."""
        message = self._kept.get(sequence)
        if message is None:
            return
        self._finished.add(sequence)
        kept, count = self._threads[message.thread], 0
        while count < len(kept) and kept[count].sequence in self._finished:
            count += 1
        if count:
            self._drop(message.thread, count)

    def read(self, thread: str, after: int, limit: int) -> list[Message] | None:
        """All messages of `thread` above `after` that were delivered so far, in order, at most `limit`; never none.

        None when only the stream knows.
        """
        if not self._begun or after < max(self._start, self._cuts.get(thread, 0)):
            return None
        kept = self._threads.get(thread)
        if kept is None:
            return None
        if kept[0].sequence > after and len(kept) <= limit:
            return list(kept)
        return [message for message in kept if message.sequence > after][:limit] or None

    def _next(self, sequence: int) -> bool:
        """Whether `sequence` is new; one that is not the very next begins the range anew."""
        if sequence <= self._end:
            return False
        if sequence != self._end + 1 or not self._begun:
            self._begun = True
            self._clear(sequence - 1)
        self._end = sequence
        return True

    def _shrink(self) -> None:
        if self._kept:
            self._drop(next(iter(self._kept.values())).thread, 1)
        else:
            self._forget_cut()

    def _drop(self, thread: str, count: int) -> None:
        """Drop the first `count` messages of `thread`."""
        kept = self._threads[thread]
        gone = kept[:count]
        del kept[:count]
        for message in gone:
            del self._kept[message.sequence]
            self._finished.discard(message.sequence)
            self._bytes -= _size(message)
        if not kept:
            del self._threads[thread]
            self._bytes -= THREAD_OVERHEAD_BYTES + _text(thread)
        if thread not in self._cuts:
            self._bytes += CUT_OVERHEAD_BYTES + _text(thread)
        self._cuts[thread] = gone[-1].sequence
        self._cuts.move_to_end(thread)
        if len(self._cuts) > self._threads_max:
            self._forget_cut()

    def _forget_cut(self) -> None:
        """Forgetting where the longest idle thread was cut is safe once reads below that point are not served."""
        thread, sequence = self._cuts.popitem(last=False)
        self._bytes -= CUT_OVERHEAD_BYTES + _text(thread)
        self._start = max(self._start, sequence)

    def _clear(self, start: int) -> None:
        self._start = self._end = start
        self._kept: OrderedDict[int, Message] = OrderedDict()
        self._threads: dict[str, list[Message]] = {}
        self._cuts: OrderedDict[str, int] = OrderedDict()
        self._finished: set[int] = set()
        self._bytes = 0


def _size(message: Message) -> int:
    return MESSAGE_OVERHEAD_BYTES + getsizeof(message.body) + _text(message.thread) + _text(message.step_token)


def _text(text: str) -> int:
    """Memory of a text, the same at every time: CPython keeps the UTF-8 form too once somebody asked for it."""
    return TEXT_OVERHEAD_BYTES + (len(text) if text.isascii() else 4 * len(text) + len(text.encode("utf-8", "replace")))
