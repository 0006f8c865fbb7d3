"""How far whoever works on the stream is behind it, as the stream tells. Nothing is read whole.

Three kinds of question, none of which grows with the number of threads: what the hint consumer has not been told is
done (one request), the first undecided messages behind its floor (one bounded read), and single threads, asked for by
name. The stream's list of subjects would count every message of every thread, decided or not, and is not used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from nats.errors import Error

from relmachine.stream.addressing import address
from relmachine.stream.connection import Connection, unreachable
from relmachine.stream.direct import DirectReader, Stored
from relmachine.stream.topology import FeedKind, Topology

if TYPE_CHECKING:
    from relmachine.stream.consumer import Consumer
    from relmachine.stream.open_hints import OpenHints

SCAN_MESSAGES_MAX = 500
"""Messages behind the consumer's floor that are looked at for threads that lag."""

SCAN_BYTES_MAX = 1024 * 1024
"""Bytes of their bodies, which come along."""

FEEDS: tuple[Literal["journal", "out", "rejected"], ...] = ("journal", "out", "rejected")


@dataclass(frozen=True, slots=True)
class Backlog:
    """What the store's hint consumer is not known to be done with.

    `newest` is the last sequence of the step stream; everything up to `floor` is done; `undelivered` steps were never
    handed to a node, `unacknowledged` ones are in the hands of nodes or were handed back.
    """

    newest: int
    floor: int
    undelivered: int
    unacknowledged: int

    @property
    def undecided(self) -> int:
        """Steps that may be undecided: never fewer than there are, but for those published this moment."""
        return self.undelivered + self.unacknowledged


@dataclass(frozen=True, slots=True)
class FirstStep:
    """The first step of a thread above a cursor: its sequence, when it was published (seconds since 1970), and how many
    there are from it on."""

    sequence: int
    at: float
    steps: int


class StreamLag:
    """Asks the stream of one machine for one store. Errors of every question: `unreachable`."""

    def __init__(self, connection: Connection, topology: Topology, consumer: Consumer, hints: OpenHints) -> None:
        self.open_hints = hints
        self._connection, self._topology, self._consumer = connection, topology, consumer
        self._direct = DirectReader(connection)

    async def backlog(self) -> Backlog:
        """See `Backlog`."""
        connection, jetstream = self._connection, self._connection.jetstream
        if not connection.usable:
            raise unreachable(connection.url, ConnectionError("the connection is lost"))
        try:
            consumer, stream = await asyncio.gather(
                jetstream.consumer_info(self._topology.steps_stream, self._consumer.name),
                jetstream.stream_info(self._topology.steps_stream),
            )
        except (Error, OSError, TimeoutError) as error:
            raise unreachable(connection.url, error) from error
        floor = consumer.ack_floor.stream_seq if consumer.ack_floor else 0
        return Backlog(stream.state.last_seq, floor, consumer.num_pending or 0, consumer.num_ack_pending or 0)

    async def ends(self) -> dict[FeedKind, int]:
        """The position of each feed's newest message in its stream; 0 while there is none."""
        found = await asyncio.gather(*(self._end(kind) for kind in FEEDS))
        return dict(zip(FEEDS, found, strict=True))

    async def published_at(self, sequence: int) -> float | None:
        """When the step at `sequence` was published, in seconds since 1970; None when the stream is not that long."""
        found = await self._direct.read_many(
            self._topology.steps_stream, [(self._topology.steps_subjects, sequence - 1, 1)]
        )
        return _at(found[0][0]) if found[0] else None

    async def first_above(self, floor: int) -> dict[str, list[int]]:
        """Of the steps above `floor` the first `SCAN_MESSAGES_MAX`, as far as `SCAN_BYTES_MAX` goes: sequences by
        thread, in order."""
        found = await self._direct.read_many(
            self._topology.steps_stream,
            [(self._topology.steps_subjects, floor, SCAN_MESSAGES_MAX)],
            bytes_max=SCAN_BYTES_MAX,
        )
        by_thread: dict[str, list[int]] = {}
        for stored in found[0]:
            addressed = address(stored.subject)
            if addressed is not None:
                by_thread.setdefault(addressed[0], []).append(stored.sequence)
        return by_thread

    async def newest_of(self, threads: Sequence[str]) -> list[int]:
        """The last sequence of each thread; 0 for one without a step."""
        subjects = [self._topology.thread_subjects(thread) for thread in threads]
        found = await self._direct.last_many(self._topology.steps_stream, subjects)
        return [0 if stored is None else stored.sequence for stored in found]

    async def first_steps(self, cursors: Sequence[tuple[str, int]]) -> list[FirstStep | None]:
        """For each (thread, cursor) the first step above the cursor; None when there is none.

        The server walks over what lies between: 10 to 20 ms of it for a thread among 100,000 (measured), so ask for
        few, and only for those whose newest sequence is above their cursor.
        """
        found = await self._direct.read_many(
            self._topology.steps_stream,
            [(self._topology.thread_subjects(thread), after, 1) for thread, after in cursors],
        )
        return [_first(stored[0]) if stored else None for stored in found]

    async def _end(self, kind: FeedKind) -> int:
        subject = self._topology.feed_subject(kind, "*")
        last = await self._direct.last_many(self._topology.feed_stream(kind), [subject])
        return 0 if last[0] is None else last[0].sequence


def _first(stored: Stored) -> FirstStep:
    return FirstStep(stored.sequence, _at(stored), 1 + int(stored.headers.get("Nats-Num-Pending", "0")))


def _at(stored: Stored) -> float:
    """When the server stored it. Written after the message's own headers, so no publisher can say otherwise."""
    return datetime.fromisoformat(stored.headers["Nats-Time-Stamp"]).timestamp()
