"""Writes outbox rows to the feeds, each exactly once and in order on its subject.

Every message states what the subject's last sequence must be, so a repeat or a second writer is refused by the server
and then looked at: the last message names the row it came from. A subject not seen yet is taken to be empty, which
costs nothing when it is and one look-up when it is not. A row that the server does not take waits alone.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import NamedTuple

import structlog

from relmachine.errors import RelmError
from relmachine.kernel.outcome_rows import OutboxRow
from relmachine.stream.connection import Connection
from relmachine.stream.direct import DirectReader, Stored
from relmachine.stream.frames import SEQUENCE_HEADER, STORE_HEADER, carried_sequence, fitted
from relmachine.stream.holding import Held
from relmachine.stream.topology import FeedKind, Topology
from relmachine.stream.window import Ack, Answer, Parcel, Refused, send

_log = structlog.get_logger(__name__)

_WRONG_LAST_SEQUENCE = 10071

_Subject = tuple[FeedKind, str]


class _Last(NamedTuple):
    """The last message of a subject: its place in the feed's stream, and the `seq` of the row it carries."""

    position: int
    seq: int


_EMPTY = _Last(0, -1)


class NatsFeeds:
    """The `Feeds` port. One call at a time per instance; rows of one subject in order of `seq` over all calls.

    `refused` counts how often a row was not taken though the stream was there, `too_large` the frames that left
    without their content.
    """

    def __init__(self, connection: Connection, topology: Topology, store_id: str) -> None:
        self._connection = connection
        self._topology = topology
        self._store_id = store_id
        self._direct = DirectReader(connection)
        self._last: OrderedDict[_Subject, _Last] = OrderedDict()
        self._emitting = asyncio.Lock()
        self._held = Held[_Subject](connection.bounds.feed_hold_seconds_max, connection.bounds.feed_subjects_cached_max)
        self.refused = 0
        self.too_large = 0

    @property
    def held(self) -> int:
        """Subjects whose next row waits because it was not taken."""
        return len(self._held)

    async def emit(self, rows: Sequence[OutboxRow]) -> Sequence[OutboxRow]:
        """Publish `rows`; returns those known to be on the stream. Safe to call again with the same rows.

        A row that could not be sent keeps back the later rows of its subject, never those of others: its subject is
        passed over for a while, at most `feed_hold_seconds_max`. Errors: `unreachable` when the stream is.
        """
        async with self._emitting:
            queues: dict[_Subject, deque[OutboxRow]] = {}
            now = asyncio.get_running_loop().time()
            for row in rows:
                if not self._held.waits(_subject(row), now):
                    queues.setdefault(_subject(row), deque()).append(row)
            tries: dict[_Subject, int] = {}
            sent: list[OutboxRow] = []
            while queues:
                try:
                    sent.extend(await self._wave(queues, tries))
                except RelmError as error:
                    if not sent:
                        raise
                    _log.warning("feeds_interrupted", rows_left=len(rows) - len(sent), error=error.sentence)
                    break
            return sent

    async def _wave(self, queues: dict[_Subject, deque[OutboxRow]], tries: dict[_Subject, int]) -> list[OutboxRow]:
        """Send the first row of each subject; drop subjects that are finished, and those whose row was not taken."""
        sent: list[OutboxRow] = []
        for subject in list(queues):
            # A row looked up before may have others of its subject behind it that are on the stream as well.
            while queues[subject] and queues[subject][0].seq <= self._known(subject).seq:
                sent.append(queues[subject].popleft())
            if not queues[subject]:
                del queues[subject]
        subjects = list(queues)[: self._connection.bounds.batch_messages_max]
        if not subjects:
            return sent
        generation = self._connection.generation
        answers = await send(self._connection, [self._parcel(queues[subject][0]) for subject in subjects])
        steady = self._connection.usable and self._connection.generation == generation
        doubtful = [s for s, answer in zip(subjects, answers, strict=True) if not isinstance(answer, Ack)]
        present = await self._present(doubtful)
        for subject, answer in zip(subjects, answers, strict=True):
            row = queues[subject][0]
            if self._settled(subject, row, answer, present):
                sent.append(queues[subject].popleft())
                tries.pop(subject, None)
                self._held.release(subject)
            elif self._gives_up(subject, answer, tries):
                del queues[subject]
                if steady:
                    self._hold(row, answer)
                continue
            if not queues[subject]:
                del queues[subject]
        return sent

    def _settled(
        self, subject: _Subject, row: OutboxRow, answer: Answer, present: dict[_Subject, Stored | None]
    ) -> bool:
        """Whether `row` is on the stream; sets right what the subject's last sequence is taken to be."""
        if isinstance(answer, Ack):
            self._remember(subject, _Last(answer.sequence, row.seq))
            return True
        last = present[subject]
        carried = _EMPTY if last is None else _Last(last.sequence, carried_sequence(last.headers))
        self._remember(subject, carried)
        return carried.seq >= row.seq

    def _gives_up(self, subject: _Subject, answer: Answer, tries: dict[_Subject, int]) -> bool:
        """Whether to leave the subject for a later call: at once, unless the expected last sequence was wrong."""
        if not (isinstance(answer, Refused) and answer.code == _WRONG_LAST_SEQUENCE):
            return True
        tries[subject] = tries.get(subject, 0) + 1
        return tries[subject] >= self._connection.bounds.feed_attempts_max

    def _hold(self, row: OutboxRow, answer: Answer) -> None:
        """The stream is there and did not take the row: whoever stays behind it waits with it."""
        self.refused += 1
        seconds = self._held.hold(_subject(row), asyncio.get_running_loop().time())
        reason = answer.description if isinstance(answer, Refused) else "no answer"
        _log.warning(
            "feed_row_not_taken", kind=row.kind, thread=row.thread[:200], seq=row.seq, reason=reason, seconds=seconds
        )

    async def _present(self, subjects: Sequence[_Subject]) -> dict[_Subject, Stored | None]:
        present: dict[_Subject, Stored | None] = {}
        for stream in {self._topology.feed_stream(kind) for kind, _ in subjects}:
            here = [subject for subject in subjects if self._topology.feed_stream(subject[0]) == stream]
            found = await self._direct.last_many(stream, [self._topology.feed_subject(*subject) for subject in here])
            present.update(zip(here, found, strict=True))
        return present

    def _parcel(self, row: OutboxRow) -> Parcel:
        whole = row.body.encode()
        body = fitted(whole, self._connection.body_bytes_max)
        if body is not whole:
            self.too_large += 1
            _log.warning("feed_row_too_large", kind=row.kind, thread=row.thread, seq=row.seq, bytes=len(whole))
        headers = {
            "Nats-Expected-Last-Subject-Sequence": str(self._known(_subject(row)).position),
            SEQUENCE_HEADER: str(row.seq),
            STORE_HEADER: self._store_id,
        }
        return Parcel(self._topology.feed_subject(*_subject(row)), body, headers)

    def _known(self, subject: _Subject) -> _Last:
        return self._last.get(subject, _EMPTY)

    def _remember(self, subject: _Subject, last: _Last) -> None:
        self._last[subject] = last
        self._last.move_to_end(subject)
        if len(self._last) > self._connection.bounds.feed_subjects_cached_max:
            self._last.popitem(last=False)


def _subject(row: OutboxRow) -> _Subject:
    assert row.kind != "step", "steps are published, not fed"
    return row.kind, row.thread
