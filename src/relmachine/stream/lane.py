"""The control lane on the stream: a connection of its own, with a consumer of its own, so that no step is in its way.

Its pull stays open at the server, as that of the step hints; records are few, so each batch is taken whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any

import orjson
import structlog
from nats.errors import Error
from nats.js.errors import APIError

from relmachine.stream.addressing import escaped
from relmachine.stream.connecting import connect
from relmachine.stream.connection import Connection, unreachable
from relmachine.stream.consumer import LaneConsumer
from relmachine.stream.delivery import End, Step, Unaddressable, lane_delivery
from relmachine.stream.ensure import not_made
from relmachine.stream.feeds import NatsFeeds
from relmachine.stream.follow import FeedReader
from relmachine.stream.lane_asking import LaneAsking
from relmachine.stream.pulls import Pulls
from relmachine.stream.replies import subscribe

if TYPE_CHECKING:
    from nats.aio.msg import Msg

    from relmachine.kernel.limits import Limits
    from relmachine.stream.bounds import StreamBounds
    from relmachine.stream.topology import Topology

_log = structlog.get_logger(__name__)


class LaneStream(LaneAsking):
    """Publishes lane records, brings them, tells of their effects. Made by `open`, used in the loop that made it."""

    def __init__(self, connection: Connection, topology: Topology, store_id: str, limits: Limits) -> None:
        self.unaddressable = 0
        self.feeds, self.feed_reader = NatsFeeds(connection, topology, store_id), FeedReader(connection, topology)
        super().__init__(connection, topology)
        self._consumer = LaneConsumer(connection, topology, store_id, limits)
        self._inbox = connection.client.new_inbox()
        self._pulls = Pulls(connection, self._consumer, limits, self._inbox, reclaim=False)
        self._waiting: list[Step] = []
        self._hopeless: list[Unaddressable] = []
        self._stirred = asyncio.Event()
        self._closed = False
        self._undo: list[Callable[[], Any]] = []

    @staticmethod
    async def open(
        url: str,
        topology: Topology,
        store_id: str,
        limits: Limits,
        bounds: StreamBounds | None = None,
        *,
        reclaim: bool = True,
    ) -> LaneStream:
        """Connect, and take up the store's consumer of streams that are there. `reclaim` as for `NatsHints.start`.

        Errors: `unreachable`, `topology_mismatch`, `stream_unfit`.
        """
        connection = await connect(url, name=f"relm {topology.machine} control", bounds=bounds)
        lane = LaneStream(connection, topology, store_id, limits)
        try:
            await lane._consumer.ensure(reclaim=reclaim)
            lane._undo.append(await subscribe(connection.client, lane._inbox, lane._arrived))
            lane._undo.append(connection.on_reconnect(lane._reconnected))
        except APIError as error:
            await connection.close()
            raise not_made(connection, "the consumer of the control lane", error) from error
        except (Error, OSError, TimeoutError) as error:
            await connection.close()
            raise unreachable(connection.url, error) from error
        except BaseException:
            await connection.close()
            raise
        return lane

    async def batches(self) -> AsyncIterator[Sequence[Step]]:
        """Records in the order of the lane, oldest first; ends on `close`. Errors: `unreachable` when given up."""
        bounds = self._connection.bounds
        while not self._closed:
            await self._pulls.keep(len(self._waiting))
            hopeless, self._hopeless = self._hopeless, []
            for item in hopeless:
                _log.warning("unaddressable", sequence=item.sequence, subject=escaped(item.subject))
                await self._answer(item.token, b"+TERM")
            if self._waiting:
                batch, self._waiting = self._waiting, []
                yield batch
                continue
            self._stirred.clear()
            try:
                async with asyncio.timeout(
                    bounds.again_delay_seconds if self._pulls.suspect else bounds.pull_expires_seconds * 2
                ):
                    await self._stirred.wait()
            except TimeoutError:
                self._pulls.suspect = True  # as for step hints: an open pull ends with a status

    async def done(self, records: Sequence[Step]) -> None:
        """Acknowledge: their effects are durable. One that is lost brings the record again, which has its effect."""
        for record in records:
            await self._answer(record.token, b"+ACK")

    async def again(self, records: Sequence[Step]) -> None:
        """Hand back, to come again after `again_delay_seconds`."""
        delay = int(self._connection.bounds.again_delay_seconds * 1e9)
        for record in records:
            await self._answer(record.token, b"-NAK " + orjson.dumps({"delay": delay}))

    async def close(self) -> None:
        """End the iterator, hand back what it did not yield, and let go. May be called twice."""
        self._closed = True
        self._stirred.set()
        undo, self._undo = self._undo, []
        waiting, self._waiting = self._waiting, []
        await self.again(waiting)
        for step in undo:
            left = step()
            if asyncio.iscoroutine(left):
                left.close()  # the subscription ends with the connection
        await self._connection.close()

    async def _answer(self, token: str, word: bytes) -> None:
        try:
            await self._connection.client.publish(token, word)
        except (Error, OSError) as error:
            _log.info("lane_not_answered", word=word.decode(), error=str(error) or repr(error))

    def _reconnected(self) -> None:
        self._pulls.suspect = True
        self._stirred.set()

    def _arrived(self, message: Msg) -> None:
        match lane_delivery(message):
            case Step() as record:
                self._pulls.delivered()
                self._waiting.append(record)
            case Unaddressable() as item:
                self._pulls.delivered()
                self.unaddressable += 1
                self._hopeless.append(item)
            case End() as end:
                self._pulls.ended(end)
        self._stirred.set()
