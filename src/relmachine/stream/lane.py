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

from relmachine.errors import Code, RelmError
from relmachine.stream.addressing import escaped
from relmachine.stream.connecting import connect
from relmachine.stream.connection import Connection, password_in, unreachable
from relmachine.stream.consumer import LaneConsumer
from relmachine.stream.delivery import End, Step, Unaddressable, lane_delivery
from relmachine.stream.direct import DirectReader
from relmachine.stream.ensure import not_made
from relmachine.stream.feeds import NatsFeeds
from relmachine.stream.follow import FeedReader
from relmachine.stream.port import Published
from relmachine.stream.publisher import guarded, message_id
from relmachine.stream.pulls import Pulls
from relmachine.stream.replies import subscribe
from relmachine.stream.window import Ack, Lost, Parcel, Refused, send

if TYPE_CHECKING:
    from nats.aio.msg import Msg

    from relmachine.kernel.limits import Limits
    from relmachine.stream.bounds import StreamBounds
    from relmachine.stream.topology import Topology

_log = structlog.get_logger(__name__)


class LaneStream:
    """Publishes lane records, brings them, tells of their effects. Made by `open`, used in the loop that made it."""

    def __init__(self, connection: Connection, topology: Topology, store_id: str, limits: Limits) -> None:
        self.unaddressable = 0
        self.feeds, self.feed_reader = NatsFeeds(connection, topology, store_id), FeedReader(connection, topology)
        self._connection, self._topology = connection, topology
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

    async def publish(self, thread: str, body: bytes) -> Published:
        """Put one record on the lane; returns when the stream has it. Safe to call again with the same.

        Errors: `payload_too_large`, `unreachable`.
        """
        connection = self._connection
        if len(body) > connection.body_bytes_max:
            sentence = f"send at most {connection.body_bytes_max} bytes in one record"
            raise RelmError(Code.PAYLOAD_TOO_LARGE, sentence, message_bytes_max=connection.body_bytes_max)
        headers = {"Nats-Msg-Id": guarded(message_id(thread, body), password_in(connection.address))}
        parcel = Parcel(self._topology.control_subject(thread), body, headers)
        detail = "the record stayed without acknowledgement"
        for attempt in range(connection.bounds.publish_attempts_max):
            match (await send(connection, [parcel]))[0]:
                case Ack(sequence, duplicate):
                    return Published(sequence, duplicate)
                case Refused(_, description):
                    detail = description
                    break
                case Lost():
                    await asyncio.sleep(connection.bounds.reconnect_wait_seconds * attempt)
        raise unreachable(connection.url, ConnectionError(detail))

    async def has_steps(self, thread: str) -> bool:
        """Whether anything was ever published on the thread, as far as the replica that answers knows."""
        subjects = self._topology.thread_subjects(thread)
        (found,) = await DirectReader(self._connection).read_many(self._topology.steps_stream, [(subjects, 0, 1)])
        return bool(found)

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
