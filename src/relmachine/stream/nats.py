"""Everything a node needs of the stream, opened in the right order and closed in the reverse one."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from relmachine.stream.connecting import connect
from relmachine.stream.connection import Connection
from relmachine.stream.feeds import NatsFeeds
from relmachine.stream.follow import FeedMessage, FeedReader
from relmachine.stream.hints import NatsHints
from relmachine.stream.lag import StreamLag
from relmachine.stream.publisher import NatsPublisher
from relmachine.stream.reader import NatsReader
from relmachine.stream.startup import start_up
from relmachine.stream.tail import Tail
from relmachine.stream.telemetry import TelemetryLine
from relmachine.stream.topology import FeedKind, Topology, topology

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from relmachine.kernel.limits import Limits
    from relmachine.machine.plan import Plan
    from relmachine.stream.bounds import StreamBounds


@dataclass(frozen=True, slots=True)
class NatsStream:
    """The parts of one machine's stream, on one connection; the publisher has its own. Made by `open`."""

    topology: Topology
    connection: Connection
    publisher: NatsPublisher
    reader: NatsReader
    hints: NatsHints
    feeds: NatsFeeds
    feed_reader: FeedReader
    tail: Tail
    lag: StreamLag
    telemetry: TelemetryLine
    _closing: AsyncExitStack

    @staticmethod
    async def open(
        url: str,
        plan: Plan,
        store_id: str,
        limits: Limits,
        bounds: StreamBounds | None = None,
        *,
        replicas: int = 1,
        reclaim: bool = True,
    ) -> NatsStream:
        """Connect, make sure the streams are this machine's, and take up the hints of the store.

        `url` is one address, or those of a cluster separated by commas; `replicas` the number of servers that keep
        each stream; `reclaim` see `NatsHints.start`.
        Errors: `unreachable`, `topology_mismatch`, `stream_unfit`, `machine_invalid`.
        """
        names = topology(plan)
        async with AsyncExitStack() as stack:
            connection = await connect(url, name=f"relm {names.machine}", bounds=bounds)
            stack.push_async_callback(connection.close)
            await start_up(connection, names, limits, replicas)
            publisher = await NatsPublisher.start(url, names, limits, bounds)
            stack.push_async_callback(publisher.close)
            tail = Tail(connection.bounds)
            hints = await NatsHints.start(connection, names, store_id, limits, tail, reclaim=reclaim)
            stack.push_async_callback(hints.close)
            reader = NatsReader(connection, names, tail)
            feeds, feed_reader = NatsFeeds(connection, names, store_id), FeedReader(connection, names)
            lag = StreamLag(connection, names, hints.consumer, hints.open)
            telemetry, closing = TelemetryLine(connection, names), stack.pop_all()
            return NatsStream(
                names, connection, publisher, reader, hints, feeds, feed_reader, tail, lag, telemetry, closing
            )
        raise AssertionError("the stack swallows no error")

    @property
    def address(self) -> str:
        """Where clients connect, with logins where there are any."""
        return self.connection.address

    @property
    def url(self) -> str:
        """The address to be shown, without logins."""
        return self.connection.url

    def follow(
        self, kind: FeedKind, thread: str = "*", *, after: int | None = None, from_sequence: int = 0
    ) -> AbstractAsyncContextManager[AsyncIterator[FeedMessage]]:
        """See `FeedReader.follow`."""
        return self.feed_reader.follow(kind, thread, after=after, from_sequence=from_sequence)

    def status(self) -> dict[str, object]:
        """The state of the connection and what was counted since it was opened, as JSON values. Costs no I/O."""
        return {
            "state": "connected" if self.connection.usable else "unreachable",
            "unaddressable": self.hints.unaddressable,
            "feed_rows_not_taken": self.feeds.refused,
            "feed_rows_too_large": self.feeds.too_large,
            "feed_subjects_held": self.feeds.held,
            "tail_bytes": self.tail.bytes,
            "hints_waiting": self.hints.waiting,
            "hints_open": len(self.hints.open),
        }

    async def close(self) -> None:
        """Close all parts, each within `close_seconds_max`. May be called twice."""
        await self._closing.aclose()
