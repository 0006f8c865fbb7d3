"""Goal: on a consumer that several nodes share, a step is read by the first turn that hears of it, whichever node the
hint came to. Method: real readers and tails over a list that stands for the stream, hints handed round robin."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

from relmachine.kernel.candidate import Message
from relmachine.stream.bounds import StreamBounds
from relmachine.stream.direct import Stored
from relmachine.stream.reader import NatsReader
from relmachine.stream.tail import Tail
from relmachine.stream.topology import Topology

NAMES = Topology("m", {})


class Unused:
    """A connection that nobody uses."""

    bounds = StreamBounds()


class Stream:
    """Direct gets of a list of messages; counts them."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.asked = 0

    async def read_many(
        self, stream: str, reads: Sequence[tuple[str, int, int]], bytes_max: int | None = None
    ) -> list[list[Stored]]:
        self.asked += len(reads)
        found = [[m for m in self.messages if NAMES.thread_subjects(m.thread) == subjects] for subjects, _, _ in reads]
        return [
            [
                Stored(m.sequence, NAMES.step_subject(m.thread, m.step_token), m.body, {})
                for m in mine
                if m.sequence > after
            ]
            for mine, (_, after, _) in zip(found, reads, strict=True)
        ]


class Node:
    """What a node reads with."""

    def __init__(self, stream: Stream) -> None:
        self.tail = Tail(StreamBounds())
        self.reader = NatsReader(cast(Any, Unused()), NAMES, self.tail)
        cast(Any, self.reader)._direct = stream


def test_a_step_whose_hint_came_to_another_node_is_read_at_once() -> None:
    async def play() -> None:
        stream = Stream()
        nodes = [Node(stream) for _ in range(3)]
        home, cursor = nodes[1], 0
        for sequence in range(1, 31):
            message = Message(sequence, "t", "x", b"{}")
            stream.messages.append(message)
            told = nodes[sequence % 3]
            told.tail.extend(message)
            read = await home.reader.read("t", cursor, 10)
            assert [found.sequence for found in read] == [sequence], "the hint is handed back for nothing"
            cursor = sequence
            told.tail.done(sequence)

    asyncio.run(play())


def test_what_the_tail_holds_needs_no_request() -> None:
    async def play() -> None:
        stream = Stream()
        node = Node(stream)
        for sequence in (1, 2, 3):
            node.tail.extend(Message(sequence, "t", "x", b"{}"))
        assert [found.sequence for found in await node.reader.read("t", 0, 10)] == [1, 2, 3]
        assert [found.sequence for found in await node.reader.read("t", 2, 10)] == [3]
        assert stream.asked == 0
        assert await node.reader.read("t", 3, 10) == ()
        assert stream.asked == 1, "what was delivered to nobody here may be on the stream all the same"

    asyncio.run(play())
