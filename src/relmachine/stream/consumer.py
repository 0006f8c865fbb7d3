"""The durable consumer of step hints that a store has on the stream: made once, taken up again, reclaimed."""

from __future__ import annotations

from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from relmachine.kernel.limits import Limits
from relmachine.stream.connection import Connection
from relmachine.stream.topology import Topology


class Consumer:
    """One store's consumer. A fresh store has a fresh one, which begins with the first step there is."""

    def __init__(self, connection: Connection, topology: Topology, store_id: str, limits: Limits) -> None:
        self._connection, self._limits = connection, limits
        self._stream = topology.steps_stream
        self._name = topology.consumer(store_id)

    @property
    def next_subject(self) -> str:
        """Where its next messages are asked for."""
        return f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._name}"

    async def ensure(self, *, reclaim: bool) -> None:
        """Make sure that it is there; with `reclaim`, made anew behind its last acknowledgement if anything is in hand.

        Errors: those of nats-py.
        """
        jetstream = self._connection.jetstream
        try:
            info = await jetstream.consumer_info(self._stream, self._name)
        except NotFoundError:
            await self._create(1)
            return
        if reclaim and info.num_ack_pending:
            # Losing the consumer between these two lines only means hints from the start, for what is known already.
            await jetstream.delete_consumer(self._stream, self._name)
            await self._create(info.ack_floor.stream_seq + 1 if info.ack_floor else 1)

    async def _create(self, start: int) -> None:
        await self._connection.jetstream.add_consumer(  # pyright: ignore[reportUnknownMemberType]
            self._stream,
            ConsumerConfig(
                durable_name=self._name,
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=start,
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=self._connection.bounds.ack_wait_seconds,
                max_ack_pending=self._limits.hints_in_flight_max,
                max_deliver=-1,
            ),
        )
