"""The durable consumers that a store has on the stream, of step hints and of the control lane: made once, taken up
again, reclaimed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import structlog
from nats.js.api import DeliverPolicy
from nats.js.errors import NotFoundError

from relmachine.errors import Code, RelmError
from relmachine.kernel.limits import Limits
from relmachine.stream.connection import Connection
from relmachine.stream.consumers import TUNED, drift, hint_consumer, lane_consumer, tuned
from relmachine.stream.topology import Topology

if TYPE_CHECKING:
    from nats.js.api import ConsumerConfig

_log = structlog.get_logger(__name__)


class Consumer:
    """One store's consumer. A fresh store has a fresh one, which begins with the first step there is."""

    def __init__(self, connection: Connection, topology: Topology, store_id: str, limits: Limits) -> None:
        self._connection, self._topology, self._limits = connection, topology, limits
        self._stream = topology.steps_stream
        self.name = topology.consumer(store_id)

    @property
    def next_subject(self) -> str:
        """Where its next messages are asked for."""
        return f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self.name}"

    async def ensure(self, *, reclaim: bool) -> None:
        """Make sure that it is there; with `reclaim`, made anew behind its last acknowledgement if anything is in hand.

        One that was made with other settings of the node is brought to those that it has now.
        Errors: `topology_mismatch` when it has settings that no node gives; those of nats-py.
        """
        jetstream = self._connection.jetstream
        try:
            info = await jetstream.consumer_info(self._stream, self.name)
        except NotFoundError:
            await self._put(self._wanted())
            return
        self._check(info.config)
        if reclaim and info.num_ack_pending:
            # Losing the consumer between these two lines only means hints from the start, for what is known already.
            await jetstream.delete_consumer(self._stream, self.name)
            await self._put(self._wanted(info.ack_floor.stream_seq + 1 if info.ack_floor else 1))
        elif (changed := tuned(self._wanted(), info.config)) is not None:
            _log.info("consumer_tuned", consumer=self.name, **{name: getattr(changed, name) for name in TUNED})
            await self._put(changed)

    def _wanted(self, start: int = 1) -> ConsumerConfig:
        return hint_consumer(self.name, self._connection.bounds, self._limits, start)

    async def _put(self, config: ConsumerConfig) -> None:
        await self._connection.jetstream.add_consumer(  # pyright: ignore[reportUnknownMemberType]
            self._stream, config
        )

    def _check(self, found: ConsumerConfig) -> None:
        changed = drift(self._wanted(), found)
        if changed:
            raise RelmError(
                Code.TOPOLOGY_MISMATCH,
                f"set the consumer {self.name} of the stream {self._stream} back to the settings in the witness, or "
                "delete it: it is made anew, and every step is told once more, which changes nothing that is decided",
                stream=self._stream,
                consumer=self.name,
                drift=changed,
            )


class LaneConsumer(Consumer):
    """One store's consumer of the control lane, which begins with the first record there is."""

    def __init__(self, connection: Connection, topology: Topology, store_id: str, limits: Limits) -> None:
        super().__init__(connection, topology, store_id, limits)
        self._stream = topology.control_stream
        self.name = topology.control_consumer(store_id)

    def _wanted(self, start: int = 1) -> ConsumerConfig:
        wanted = lane_consumer(self.name, self._topology, self._connection.bounds)
        if start == 1:
            return wanted
        return replace(wanted, deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=start)
