"""Outbox rows in memory, by subject: of each subject the oldest that have not left, in order and without a gap."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Collection, Iterable
from itertools import islice

from relmachine.kernel.outcome_rows import OutboxRow

Subject = tuple[str, str]
"""Thread and kind of feed: rows of one subject leave in order."""


class QueuedRows:
    """Rows that wait to be sent, subjects taking turns."""

    def __init__(self) -> None:
        self._subjects: OrderedDict[Subject, deque[OutboxRow]] = OrderedDict()
        self._rows = 0
        self.bytes = 0
        """Of the rows' bodies."""

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
            self.bytes += body_bytes(row)

    def first(self, limit: int, but: Collection[Subject]) -> list[OutboxRow]:
        """Rows to send next, at most `limit`, none of the subjects in `but`."""
        batch: list[OutboxRow] = []
        for subject, rows in self._subjects.items():
            if subject not in but:
                batch.extend(islice(rows, limit - len(batch)))
                if len(batch) == limit:
                    break
        return batch

    def tried(self, batch: Collection[OutboxRow], sent: Iterable[OutboxRow]) -> set[Subject]:
        """Of `batch`, `sent` have left; the subjects that did not take all of theirs. They go behind the others."""
        gone, stuck = set(sent), set[Subject]()
        for subject in dict.fromkeys((row.thread, row.kind) for row in batch):
            left = deque(row for row in self._subjects.pop(subject) if row not in gone)
            if left:
                self._subjects[subject] = left
        for row in batch:
            if row not in gone:
                stuck.add((row.thread, row.kind))
        self._rows -= len(gone)
        self.bytes -= sum(map(body_bytes, gone))
        return stuck


def body_bytes(row: OutboxRow) -> int:
    """Bytes of the row's body as it is stored and sent."""
    return len(row.body.encode())
