"""Outbox rows in memory, by subject: of each subject the oldest that have not left, in order and without a gap."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Collection, Iterable
from itertools import islice

from relmachine.kernel.proposal import OutboxRow


class QueuedRows:
    """Rows that wait to be sent, subjects taking turns."""

    def __init__(self) -> None:
        self._subjects: OrderedDict[tuple[str, str], deque[OutboxRow]] = OrderedDict()
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def threads(self) -> set[str]:
        """Threads that have rows here."""
        return {thread for thread, _ in self._subjects}

    def rows(self) -> set[OutboxRow]:
        """All of them."""
        return {row for rows in self._subjects.values() for row in rows}

    def add(self, rows: Iterable[OutboxRow]) -> None:
        """Rows that come after those of their subject that are here."""
        for row in rows:
            self._subjects.setdefault((row.thread, row.kind), deque()).append(row)
            self._rows += 1

    def first(self, limit: int) -> list[OutboxRow]:
        """Rows to send next, at most `limit`."""
        batch: list[OutboxRow] = []
        for rows in self._subjects.values():
            batch.extend(islice(rows, limit - len(batch)))
            if len(batch) == limit:
                break
        return batch

    def tried(self, batch: Collection[OutboxRow], sent: Iterable[OutboxRow]) -> int:
        """Of `batch`, `sent` have left; how many. A subject that did not take its rows goes behind all others."""
        gone = set(sent)
        for subject in dict.fromkeys((row.thread, row.kind) for row in batch):
            left = deque(row for row in self._subjects.pop(subject) if row not in gone)
            if left:
                self._subjects[subject] = left
        self._rows -= len(gone)
        return len(gone)
