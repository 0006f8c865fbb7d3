"""Following a feed: live announcements while there is no gap, the stored feed where there may be one."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nats.errors import Error
from nats.js.errors import NotFoundError

from relmachine.stream.addressing import text
from relmachine.stream.connection import Connection, unreachable
from relmachine.stream.direct import DirectReader
from relmachine.stream.frames import STORE_HEADER, carried_sequence
from relmachine.stream.replies import subscribe
from relmachine.stream.topology import FeedKind, Topology

if TYPE_CHECKING:
    from nats.aio.msg import Msg

_PAGE = 256


@dataclass(frozen=True, slots=True)
class FeedMessage:
    """One message of a feed. `position` is its place in the feed's stream (to go on from later); `sequence` the last
    step of `thread` that it speaks of; `body` JSON; `store` the id of the store that committed it, empty where no node
    wrote the message.
    """

    position: int
    kind: FeedKind
    thread: str
    sequence: int
    body: bytes
    store: str = ""


class FeedReader:
    """Reads feeds of one machine, from a position or live."""

    def __init__(self, connection: Connection, topology: Topology) -> None:
        self._connection, self._topology = connection, topology
        self._direct = DirectReader(connection)

    async def last(self, kind: FeedKind, thread: str) -> FeedMessage | None:
        """The newest message of the thread's feed, if any. Errors: `unreachable`."""
        subject = self._topology.feed_subject(kind, thread)
        stored = (await self._direct.last_many(self._topology.feed_stream(kind), [subject]))[0]
        return None if stored is None else _message(kind, stored.subject, stored.sequence, stored.headers, stored.body)

    async def end(self, kind: FeedKind) -> int:
        """The position of the feed's last message, as the stream's leader has it; 0 for none. Errors: `unreachable`."""
        stream, subject = self._topology.feed_stream(kind), self._topology.feed_subject(kind, "*")
        try:
            return (await self._connection.jetstream.get_last_msg(stream, subject)).seq or 0
        except NotFoundError:
            return 0
        except (Error, OSError, TimeoutError) as error:
            raise unreachable(self._connection.url, error) from error

    async def page(self, kind: FeedKind, thread: str, after: int, limit: int = _PAGE) -> list[FeedMessage]:
        """Messages of the feed at positions above `after`, at most `limit`; `*` for all threads.

        Errors: `unreachable`.
        """
        subject = self._topology.feed_subject(kind, thread)
        found = await self._direct.read_many(self._topology.feed_stream(kind), [(subject, after, limit)])
        return [_message(kind, item.subject, item.sequence, item.headers, item.body) for item in found[0]]

    @asynccontextmanager
    async def follow(
        self, kind: FeedKind, thread: str = "*", *, after: int | None = None, from_sequence: int = 0
    ) -> AsyncGenerator[AsyncIterator[FeedMessage]]:
        """Messages of the feed in order, each (thread, sequence) once, for as long as the caller iterates.

        Starts above the position `after`, or with what comes once the block is entered when it is None; messages
        whose sequence is below `from_sequence` are passed over. Survives reconnects.
        Errors: `unreachable` when the stream is given up, while iterating too.
        """
        live = _Live(kind, self._connection.bounds.watched_frames_max)
        try:
            subject = self._topology.live_subject(kind, thread)
            stop = await subscribe(self._connection.client, subject, live.announced)
        except (Error, OSError) as error:
            raise unreachable(self._connection.url, error) from error
        forget = self._connection.on_reconnect(live.interrupted)
        try:
            live.gap = after is not None
            start = await self._end(kind, thread) if after is None else after
            yield self._messages(kind, thread, live, start, from_sequence)
        finally:
            forget()
            if not self._connection.client.is_closed:
                await stop()

    async def _messages(
        self, kind: FeedKind, thread: str, live: _Live, position: int, from_sequence: int
    ) -> AsyncGenerator[FeedMessage]:
        seen = _Seen(self._connection.bounds.feed_subjects_cached_max)
        while True:
            batch: Iterable[FeedMessage]
            if live.gap:
                # What is announced from here on is kept and sorted out by its position.
                live.gap = False
                batch = page = await self.page(kind, thread, position)
                live.gap = live.gap or bool(page)
            else:
                batch = live.taken()
            for message in batch:
                if message.position > position:
                    position = message.position
                    if message.sequence >= from_sequence and seen.first(message):
                        yield message
            if not live.gap and not live.waiting:
                if self._connection.client.is_closed:
                    raise self._connection.given_up()
                await live.wait()

    async def _end(self, kind: FeedKind, thread: str) -> int:
        if thread != "*":
            last = await self.last(kind, thread)
            return 0 if last is None else last.position
        try:
            info = await self._connection.jetstream.stream_info(self._topology.feed_stream(kind))
        except (Error, OSError, TimeoutError) as error:
            raise unreachable(self._connection.url, error) from error
        return info.state.last_seq


class _Live:
    """Announcements that wait to be taken. `gap` says that some may be missing."""

    def __init__(self, kind: FeedKind, waiting_max: int) -> None:
        self.gap = False
        self.waiting: deque[FeedMessage] = deque()
        self._kind: FeedKind = kind
        self._waiting_max = waiting_max
        self._told = asyncio.Event()

    def announced(self, message: Msg) -> None:
        """The server stored a message of the feed."""
        headers = message.headers or {}
        self.waiting.append(_message(self._kind, message.subject, int(headers["Nats-Sequence"]), headers, message.data))
        if len(self.waiting) > self._waiting_max:
            self.waiting.clear()
            self.gap = True
        self._told.set()

    def interrupted(self) -> None:
        """The connection is a new one, or was given up."""
        self.gap = True
        self._told.set()

    def taken(self) -> list[FeedMessage]:
        """What waits, oldest first."""
        taken = list(self.waiting)
        self.waiting.clear()
        return taken

    async def wait(self) -> None:
        """Until something comes."""
        self._told.clear()
        await self._told.wait()


class _Seen:
    """Tells repeats: the sequences of one thread rise."""

    def __init__(self, threads_max: int) -> None:
        self._threads_max = threads_max
        self._sequences: OrderedDict[str, int] = OrderedDict()

    def first(self, message: FeedMessage) -> bool:
        """Whether `message` is not a repeat."""
        if message.sequence <= self._sequences.get(message.thread, -1):
            return False
        self._sequences[message.thread] = message.sequence
        self._sequences.move_to_end(message.thread)
        if len(self._sequences) > self._threads_max:
            self._sequences.popitem(last=False)
        return True


def _message(kind: FeedKind, subject: str, position: int, headers: dict[str, str], body: bytes) -> FeedMessage:
    thread = text(subject.rpartition(".")[2])
    sequence = max(0, carried_sequence(headers))
    return FeedMessage(position, kind, thread, sequence, body, headers.get(STORE_HEADER, ""))
