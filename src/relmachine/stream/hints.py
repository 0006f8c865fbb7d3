"""The durable pull consumer that tells a node where something was published.

A pull stays open at the server all the time, so a single hint arrives in one way's time and a flood fills the next
batch while the last one is worked on. Bodies come along and feed the tail, so that the usual turn needs no read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

import orjson
import structlog
from nats.errors import Error
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from relmachine.kernel.envelope import Message
from relmachine.kernel.limits import Limits
from relmachine.stream.connection import Connection, unreachable
from relmachine.stream.port import Hint
from relmachine.stream.replies import subscribe
from relmachine.stream.tail import Tail
from relmachine.stream.topology import Topology

if TYPE_CHECKING:
    from collections.abc import Callable

    from nats.aio.msg import Msg

_log = structlog.get_logger(__name__)
_ACK_TOKENS_PLAIN = 9
_ORDINARY_ENDS = ("Batch Completed", "Message Size Exceeds MaxBytes", "Request Timeout")


class NatsHints:
    """The `Hints` port. Make it with `start`; one iterator at a time."""

    def __init__(
        self, connection: Connection, topology: Topology, store_id: str, limits: Limits, tail: Tail, *, reclaim: bool
    ) -> None:
        self._reclaim = reclaim
        self._connection, self._topology, self._limits, self._tail = connection, topology, limits, tail
        self._name = topology.consumer(store_id)
        self._pull = f"$JS.API.CONSUMER.MSG.NEXT.{topology.steps_stream}.{self._name}"
        self._inbox = connection.client.new_inbox()
        self._waiting: list[Hint] = []
        self._asked = 0
        self._stirred = asyncio.Event()
        self._suspect = False
        self._closed = False
        self._undo: list[Callable[[], Any]] = []

    @staticmethod
    async def start(
        connection: Connection,
        topology: Topology,
        store_id: str,
        limits: Limits,
        tail: Tail | None = None,
        *,
        reclaim: bool = True,
    ) -> NatsHints:
        """Create or take up the store's consumer.

        With `reclaim`, what was in hand when a node or the server died is delivered again at once instead of after
        `ack_wait_seconds`. Always safe; wasteful where several nodes share a store. Errors: `unreachable`.
        """
        hints = NatsHints(connection, topology, store_id, limits, tail or Tail(connection.bounds), reclaim=reclaim)
        try:
            await hints._ensure()
            stop = await subscribe(connection.client, hints._inbox, hints._arrived)
        except (Error, OSError, TimeoutError) as error:
            raise unreachable(connection.url, error) from error
        hints._undo.append(stop)
        hints._undo.append(connection.on_reconnect(hints._reconnected))
        return hints

    async def batches(self) -> AsyncIterator[Sequence[Hint]]:
        """Batches of hints, oldest first; ends on `close`. Errors: `unreachable` when the connection is given up."""
        idle_max = self._connection.bounds.pull_expires_seconds * 2
        retry = self._connection.bounds.again_delay_seconds
        while not self._closed:
            await self._keep_asking()
            if self._waiting:
                most = self._limits.hints_per_fetch_max
                batch, self._waiting = self._waiting[:most], self._waiting[most:]
                yield batch
                continue
            self._stirred.clear()
            try:
                async with asyncio.timeout(retry if self._suspect else idle_max):
                    await self._stirred.wait()
            except TimeoutError:
                # Every pull ends with a status after it expires: silence means it was lost on the way.
                self._suspect = True

    async def done(self, hints: Sequence[Hint]) -> None:
        """Acknowledge, without waiting for an answer: an acknowledgement lost is a hint delivered once more."""
        for hint in hints:
            self._tail.done(hint.sequence)
        await self._answer(hints, b"+ACK")

    async def again(self, hints: Sequence[Hint]) -> None:
        """Hand back, to be delivered again after `again_delay_seconds`."""
        delay = int(self._connection.bounds.again_delay_seconds * 1e9)
        await self._answer(hints, b"-NAK " + orjson.dumps({"delay": delay}))

    async def close(self) -> None:
        """End the iterator and let go; hints not answered are delivered again to whoever comes next."""
        self._closed = True
        self._stirred.set()
        undo, self._undo = self._undo, []
        for step in undo:
            waiting = step()
            if asyncio.iscoroutine(waiting) and not self._connection.client.is_closed:
                await waiting
            elif asyncio.iscoroutine(waiting):
                waiting.close()

    async def _answer(self, hints: Sequence[Hint], word: bytes) -> None:
        publish = self._connection.client.publish
        try:
            for hint in hints:
                await publish(str(hint.token), word)
        except (Error, OSError) as error:
            _log.info("hints_not_answered", count=len(hints), error=str(error) or repr(error))

    async def _keep_asking(self) -> None:
        if self._connection.client.is_closed:
            raise unreachable(self._connection.url, ConnectionError("the connection was given up"))
        if not self._connection.usable:
            return
        if self._suspect and not await self._recovered():
            return
        most = self._limits.hints_per_fetch_max
        room = most - len(self._waiting) - self._asked
        if room <= 0 or (self._asked and room < most // 2):
            return
        bounds = self._connection.bounds
        request = {
            "batch": room,
            "expires": int(bounds.pull_expires_seconds * 1e9),
            "max_bytes": bounds.fetch_bytes_max,
        }
        try:
            await self._connection.client.publish(self._pull, orjson.dumps(request), reply=self._inbox)
            self._asked += room
        except (Error, OSError) as error:
            self._suspect = True
            _log.info("pull_failed", error=str(error) or repr(error))

    async def _recovered(self) -> bool:
        """Whether the consumer is there, made anew if it was not; pulls that were open count no longer."""
        try:
            await self._ensure()
        except (Error, OSError, TimeoutError) as error:
            _log.info("consumer_not_there", error=str(error) or repr(error))
            return False
        self._asked, self._suspect = 0, False
        return True

    def _reconnected(self) -> None:
        self._suspect = True
        self._stirred.set()

    def _arrived(self, message: Msg) -> None:
        headers = message.headers
        if headers is not None and "Status" in headers and not message.reply:
            self._ended(headers)
            return
        self._asked = max(0, self._asked - 1)
        tokens = message.reply.split(".")
        # $JS.ACK[.<domain>.<account>].<stream>.<consumer>.<delivered>.<stream sequence>. ...
        sequence = int(tokens[5] if len(tokens) == _ACK_TOKENS_PLAIN else tokens[7])
        _, _, _, thread, token = message.subject.split(".")
        self._tail.extend(Message(sequence, thread, token, message.data))
        self._waiting.append(Hint(thread, sequence, message.reply))
        self._stirred.set()

    def _ended(self, headers: dict[str, str]) -> None:
        self._asked = max(0, self._asked - int(headers.get("Nats-Pending-Messages", "0")))
        description = headers.get("Description", "")
        if headers["Status"] != "100" and description not in _ORDINARY_ENDS:
            _log.info("pull_ended", status=headers["Status"], description=description)
            self._suspect = True
        self._stirred.set()

    async def _ensure(self) -> None:
        """Make sure the consumer is there, made anew behind its last acknowledgement where that is wanted."""
        jetstream, stream = self._connection.jetstream, self._topology.steps_stream
        try:
            info = await jetstream.consumer_info(stream, self._name)
        except NotFoundError:
            await self._create(1)
            return
        if self._reclaim and info.num_ack_pending:
            # Losing the consumer between these two lines only means hints from the start, for what is known already.
            await jetstream.delete_consumer(stream, self._name)
            await self._create(info.ack_floor.stream_seq + 1 if info.ack_floor else 1)

    async def _create(self, start: int) -> None:
        bounds = self._connection.bounds
        await self._connection.jetstream.add_consumer(  # pyright: ignore[reportUnknownMemberType]
            self._topology.steps_stream,
            ConsumerConfig(
                durable_name=self._name,
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=start,
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=bounds.ack_wait_seconds,
                max_ack_pending=self._limits.hints_in_flight_max,
                max_deliver=-1,
            ),
        )
