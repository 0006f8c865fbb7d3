"""What is asked of the stream before a thread is told something, and the telling: records on the control lane."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from nats.errors import Error
from nats.js.errors import NotFoundError

from relmachine.errors import Code, RelmError
from relmachine.stream.addressing import address
from relmachine.stream.connection import Connection, password_in, unreachable
from relmachine.stream.direct import DirectReader
from relmachine.stream.port import Published
from relmachine.stream.publisher import guarded, message_id
from relmachine.stream.window import Ack, Lost, Parcel, Refused, send

if TYPE_CHECKING:
    from relmachine.stream.topology import Topology


class LaneAsking:
    """Publishes lane records on one connection."""

    def __init__(self, connection: Connection, topology: Topology) -> None:
        self._connection, self._topology = connection, topology

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

    async def has_step(self, thread: str, sequence: int) -> bool:
        """Whether the step at `sequence` is of the thread, as the leader has it. Errors: `unreachable`."""
        try:
            found = await self._connection.jetstream.get_msg(self._topology.steps_stream, sequence)
        except NotFoundError:
            return False
        except (Error, OSError, TimeoutError) as error:
            raise unreachable(self._connection.url, error) from error
        addressed = address(found.subject or "")
        return addressed is not None and addressed[0] == thread
