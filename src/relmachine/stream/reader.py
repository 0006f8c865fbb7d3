"""Reads a thread's subject: from the kept tail where that has something, else from the stream, at need its leader."""

from __future__ import annotations

from collections.abc import Sequence

from relmachine.kernel.candidate import Message
from relmachine.stream.addressing import address
from relmachine.stream.connection import Connection
from relmachine.stream.direct import DirectReader, Stored
from relmachine.stream.leader import LeaderReader
from relmachine.stream.tail import Tail
from relmachine.stream.topology import Topology


class NatsReader:
    """The `Reader` port. Complete as of the newest hint delivered when `tail` answers, and as of the replica that
    answers otherwise: whoever was told of a sequence compares it with what came.
    """

    def __init__(self, connection: Connection, topology: Topology, tail: Tail | None = None) -> None:
        self._direct = DirectReader(connection)
        self._leader = LeaderReader(connection)
        self._topology = topology
        self._tail = tail

    async def read(self, thread: str, after: int, limit: int) -> Sequence[Message]:
        """Messages of `thread` above `after`, in order, at most `limit`. Errors: `unreachable`."""
        return (await self.read_many([(thread, after, limit)]))[0]

    async def read_many(
        self, requests: Sequence[tuple[str, int, int]], bytes_max: int | None = None
    ) -> Sequence[Sequence[Message]]:
        """See `port.Reader.read_many`. Errors: `unreachable`."""
        answers: list[Sequence[Message] | None] = [
            None if self._tail is None else _within(self._tail.read(*request), bytes_max) for request in requests
        ]
        missing = [index for index, answer in enumerate(answers) if answer is None]
        if missing:
            asked = [requests[index] for index in missing]
            found = await self._direct.read_many(
                self._topology.steps_stream,
                [(self._topology.thread_subjects(thread), after, limit) for thread, after, limit in asked],
                bytes_max,
            )
            for index, stored in zip(missing, found, strict=True):
                answers[index] = [_message(requests[index][0], item) for item in stored]
        return [answer or () for answer in answers]

    async def read_token(self, thread: str, step_token: str, after: int, limit: int) -> Sequence[Message]:
        """See `stream.port.Reader.read_token`. Errors: `unreachable`."""
        asked = [(self._topology.step_subject(thread, step_token), after, limit)]
        (found,) = await self._direct.read_many(self._topology.steps_stream, asked, None)
        return [_message(thread, stored) for stored in found]

    async def first_at_leader(self, requests: Sequence[tuple[str, int]]) -> Sequence[Message | None]:
        """See `stream.port.Reader.first_at_leader`."""
        asked = [(self._topology.thread_subjects(thread), after) for thread, after in requests]
        found = await self._leader.first_many(self._topology.steps_stream, asked)
        return [
            None if stored is None else _message(thread, stored)
            for (thread, _), stored in zip(requests, found, strict=True)
        ]

    async def message_at(self, sequence: int) -> Message | None:
        """See `stream.port.Reader.message_at`. Errors: `unreachable`."""
        stored = await self._direct.at(self._topology.steps_stream, sequence)
        if stored is None:
            return None
        thread, token = address(stored.subject) or ("", "")
        return Message(stored.sequence, thread, token, stored.body)


def _within(messages: Sequence[Message] | None, bytes_max: int | None) -> Sequence[Message] | None:
    """The first messages whose bodies are no more than `bytes_max` together; the first one in any case."""
    if messages is None or bytes_max is None:
        return messages
    size = 0
    for place, message in enumerate(messages):
        size += len(message.body)
        if place and size > bytes_max:
            return messages[:place]
    return messages


def _message(thread: str, stored: Stored) -> Message:
    return Message(stored.sequence, thread, stored.subject.rpartition(".")[2], stored.body)
