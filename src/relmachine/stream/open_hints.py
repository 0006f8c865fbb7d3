"""The hints that came here and that this node has not seen done: who may lag. Bounded, whatever comes of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping

from relmachine.stream.port import Hint


class OpenHints:
    """At most `hints_max` of them, those that came longest ago forgotten first.

    A hint that is handed back stays: the stream delivers it again, here or to another node. One that is decided
    elsewhere is never heard of again; `forget` it once the store says so, or newer ones push it out.
    """

    def __init__(self, hints_max: int) -> None:
        self._hints_max = hints_max
        self._threads: OrderedDict[int, str] = OrderedDict()

    def __len__(self) -> int:
        return len(self._threads)

    def came(self, thread: str, sequence: int) -> None:
        """A hint was delivered, perhaps again."""
        self._threads[sequence] = thread
        self._threads.move_to_end(sequence)
        if len(self._threads) > self._hints_max:
            self._threads.popitem(last=False)

    def done(self, hints: Iterable[Hint]) -> None:
        """What they speak of is committed."""
        for hint in hints:
            self._threads.pop(hint.sequence, None)

    def forget(self, cursors: Mapping[str, int]) -> None:
        """Whatever is at or below its thread's committed cursor is decided, by whichever node."""
        decided = [seq for seq, thread in self._threads.items() if seq <= cursors.get(thread, 0)]
        for sequence in decided:
            del self._threads[sequence]

    def by_thread(self) -> dict[str, list[int]]:
        """The sequences of each thread, in order."""
        found: dict[str, list[int]] = {}
        for sequence in sorted(self._threads):
            found.setdefault(self._threads[sequence], []).append(sequence)
        return found
