"""Where something was published, as the store's durable pull consumer tells it.

A pull stays open at the server all the time, so a single hint arrives in one way's time and a flood fills the next
batch while the last one is worked on. Bodies come along and feed the tail, so that the usual turn needs no read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import orjson
import structlog
from nats.errors import Error
from nats.js.errors import APIError

from relmachine.kernel.limits import Limits
from relmachine.stream.addressing import escaped
from relmachine.stream.connection import Connection, unreachable
from relmachine.stream.consumer import Consumer
from relmachine.stream.delivery import End, Step, Unaddressable, delivery
from relmachine.stream.ensure import not_made
from relmachine.stream.in_hand import InHand
from relmachine.stream.open_hints import OpenHints
from relmachine.stream.port import Hint
from relmachine.stream.pulls import Pulls
from relmachine.stream.replies import subscribe
from relmachine.stream.tail import Tail
from relmachine.stream.topology import Topology

if TYPE_CHECKING:
    from collections.abc import Callable

    from nats.aio.msg import Msg

_log = structlog.get_logger(__name__)

_TOLD_PER_WAIT = 4
"""How often the server hears of a hint in hand before it would tell it again."""


class NatsHints:
    """The `Hints` port. Make it with `start`; one iterator at a time.

    `unaddressable` counts the messages that were terminated because no thread could own them; `open` are the hints that
    came and are not done.
    """

    def __init__(
        self, connection: Connection, consumer: Consumer, limits: Limits, tail: Tail, *, reclaim: bool
    ) -> None:
        self.unaddressable = 0
        self.open = OpenHints(limits.hints_in_flight_max)
        self.consumer = consumer
        bounds = connection.bounds
        self._tell_seconds = bounds.acknowledged_within(shared=not reclaim) / _TOLD_PER_WAIT
        clock = asyncio.get_running_loop().time
        self._in_hand = InHand(self._tell_seconds / 2, bounds.in_hand_seconds_max, clock)
        self._connection, self._limits, self._tail = connection, limits, tail
        self._inbox = connection.client.new_inbox()
        self._pulls = Pulls(connection, consumer, limits, self._inbox, reclaim=reclaim)
        self._waiting: list[Hint] = []
        self._hopeless: list[Unaddressable] = []
        self._stirred = asyncio.Event()
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
        `ack_wait_seconds`. Always safe; wasteful where several nodes share a store.
        Errors: `unreachable`, `topology_mismatch` and `stream_unfit` as of `Consumer.ensure`.
        """
        consumer = Consumer(connection, topology, store_id, limits)
        hints = NatsHints(connection, consumer, limits, tail or Tail(connection.bounds), reclaim=reclaim)
        try:
            await consumer.ensure(reclaim=reclaim)
            stop = await subscribe(connection.client, hints._inbox, hints._arrived)
        except APIError as error:
            raise not_made(connection, "the consumer of hints", error) from error
        except (Error, OSError, TimeoutError) as error:
            raise unreachable(connection.url, error) from error
        hints._undo.append(stop)
        hints._undo.append(connection.on_reconnect(hints._reconnected))
        telling = asyncio.create_task(hints._tell_what_is_in_hand(), name="hints in hand")
        hints._undo.append(telling.cancel)
        return hints

    @property
    def waiting(self) -> int:
        """Hints that came and that nobody took yet: at most `hints_per_fetch_max`, since no more is asked for."""
        return len(self._waiting)

    async def batches(self) -> AsyncIterator[Sequence[Hint]]:
        """Batches of hints, oldest first; ends on `close`. Errors: `unreachable` when the connection is given up."""
        idle_max = self._connection.bounds.pull_expires_seconds * 2
        retry = self._connection.bounds.again_delay_seconds
        while not self._closed:
            await self._pulls.keep(len(self._waiting))
            await self._put_aside()
            if self._waiting:
                most = self._limits.hints_per_fetch_max
                batch, self._waiting = self._waiting[:most], self._waiting[most:]
                yield batch
                continue
            self._stirred.clear()
            try:
                async with asyncio.timeout(retry if self._pulls.suspect else idle_max):
                    await self._stirred.wait()
            except TimeoutError:
                # Every pull ends with a status after it expires: silence means it was lost on the way.
                self._pulls.suspect = True

    async def done(self, hints: Sequence[Hint]) -> None:
        """Acknowledge, without waiting for an answer: an acknowledgement lost is a hint delivered once more."""
        for hint in hints:
            self._tail.done(hint.sequence)
        self.open.done(hints)
        self._in_hand.answered(hints)
        await self._answer((str(hint.token) for hint in hints), b"+ACK")

    async def again(self, hints: Sequence[Hint], seconds: float = 0.0) -> None:
        """Hand back, to be delivered again after `seconds`, but not before `again_delay_seconds`."""
        self._in_hand.answered(hints)
        delay = int(max(seconds, self._connection.bounds.again_delay_seconds) * 1e9)
        await self._answer((str(hint.token) for hint in hints), b"-NAK " + orjson.dumps({"delay": delay}))

    async def close(self) -> None:
        """End the iterator, hand back what it did not yield, and let go. Hints that were yielded may still be answered;
        those that never are come again after `ack_wait_seconds`. A second time does nothing."""
        self._closed = True
        self._stirred.set()
        undo, self._undo = self._undo, []
        try:
            async with asyncio.timeout(self._connection.bounds.close_seconds_max):
                for step in undo:
                    waiting = step()
                    if asyncio.iscoroutine(waiting) and not self._connection.client.is_closed:
                        await waiting
                    elif asyncio.iscoroutine(waiting):
                        waiting.close()
        except (Error, OSError, TimeoutError) as error:
            _log.info("hints_closed_by_force", error=str(error) or type(error).__name__)
        waiting, self._waiting = self._waiting, []
        await self.again(waiting)

    async def _tell_what_is_in_hand(self) -> None:
        while True:
            await asyncio.sleep(self._tell_seconds)
            await self._answer(self._in_hand.due(), b"+WPI")

    async def _answer(self, tokens: Iterable[str], word: bytes) -> None:
        publish = self._connection.client.publish
        try:
            for token in tokens:
                await publish(token, word)
        except (Error, OSError) as error:
            _log.info("hints_not_answered", word=word.decode(), error=str(error) or repr(error))

    async def _put_aside(self) -> None:
        """Terminate messages that no thread can own: nobody could ever be done with them."""
        hopeless, self._hopeless = self._hopeless, []
        if not hopeless:
            return
        first = hopeless[0]
        _log.warning(
            "messages_unaddressable", count=len(hopeless), first=escaped(first.subject), sequence=first.sequence
        )
        await self._answer((item.token for item in hopeless), b"+TERM")

    def _reconnected(self) -> None:
        self._pulls.suspect = True
        self._stirred.set()

    def _arrived(self, message: Msg) -> None:
        item = delivery(message)
        match item:
            case Step(step, token):
                self._pulls.delivered()
                self._tail.extend(step)
                hint = Hint(step.thread, step.sequence, token)
                self._waiting.append(hint)
                self._in_hand.came(hint)
                self.open.came(step.thread, step.sequence)
            case Unaddressable():
                self._pulls.delivered()
                self._tail.pass_over(item.sequence)
                self.unaddressable += 1
                self._hopeless.append(item)
            case End():
                self._pulls.ended(item)
        self._stirred.set()
