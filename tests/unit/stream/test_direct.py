"""Goal: a direct read is complete and in order although answers are lost or a server answers short. Method: a server in
memory that speaks the direct-get protocol and drops the answers it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import orjson
import pytest

from relmachine.errors import Code, RelmError
from relmachine.stream.bounds import StreamBounds
from relmachine.stream.connection import Connection
from relmachine.stream.direct import DirectReader


class Answer:
    """A message as the client hands it over."""

    def __init__(self, headers: dict[str, str], data: bytes = b"") -> None:
        self.headers, self.data = headers, data


class Server:
    """Holds messages 1 to `size` of one subject; answers at most `at_most` in one batch."""

    def __init__(self, size: int, at_most: int = 1000) -> None:
        self.size, self.at_most = size, at_most
        self.requests: list[dict[str, Any]] = []
        self.drop: dict[int, set[int]] = {}
        self.posing: set[int] = set()
        self.overhead = 0
        self.handlers: dict[str, Callable[[Any], None]] = {}
        self.bounds = StreamBounds(answer_seconds_max=0.05, read_attempts_max=3)
        self.url = "nats://memory"
        self.client = self.replies = self

    def open(self, handler: Callable[[Any], None]) -> str:
        self.handlers["r"] = handler
        return "r"

    def close(self, subject: str) -> None:
        self.handlers.pop(subject)

    def on_reconnect(self, callback: Callable[[], None]) -> Callable[[], None]:
        return lambda: None

    def given_headers(self, sequence: int) -> dict[str, str]:
        """Headers that the message came with; the server's own come after them."""
        return {"Status": "404"} if sequence in self.posing else {}

    async def publish(self, subject: str, body: bytes, reply: str) -> None:
        assert subject == "$JS.API.DIRECT.GET.S"
        request = orjson.loads(body)
        dropped = self.drop.get(len(self.requests), set())
        self.requests.append(request)
        first = request["seq"]
        last = min(self.size, first - 1 + min(request["batch"], self.at_most))
        if first > self.size:
            return self.handlers[reply](Answer({"Status": "404"}))
        previous, size = 0, 0
        for sequence in range(first, last + 1):
            if size > request["max_bytes"]:
                last = previous
                break
            size += len(str(sequence)) + self.overhead
            headers = self.given_headers(sequence)
            headers |= {"Nats-Sequence": str(sequence), "Nats-Subject": "a.b", "Nats-Last-Sequence": str(previous)}
            previous = sequence
            if sequence not in dropped:
                self.handlers[reply](Answer(headers, str(sequence).encode()))
        if 0 not in dropped:
            pending = {"Nats-Num-Pending": str(self.size - last), "Nats-Last-Sequence": str(previous)}
            self.handlers[reply](Answer({"Status": "204", **pending}))
        return None


def read(server: Server, after: int, limit: int) -> list[int]:
    async def ask() -> list[int]:
        found = await DirectReader(cast(Connection, server)).read_many("S", [("a.b", after, limit)])
        return [item.sequence for item in found[0]]

    return asyncio.run(ask())


@pytest.mark.parametrize("dropped", [{1}, {4}, {7}, {2, 3}, {0}, {7, 0}, {4, 0}])
def test_what_was_lost_is_asked_for_again(dropped: set[int]) -> None:
    server = Server(7)
    server.drop[0] = dropped
    assert read(server, 0, 100) == [1, 2, 3, 4, 5, 6, 7]


def test_a_short_answer_is_continued_and_a_full_one_is_not() -> None:
    server = Server(10, at_most=4)
    assert read(server, 0, 100) == list(range(1, 11))
    assert [request["seq"] for request in server.requests] == [1, 5, 9]
    assert read(server, 0, 4) == [1, 2, 3, 4]
    assert read(server, 10, 4) == []
    assert len(server.requests) == 5


def test_a_message_that_poses_as_the_end_is_a_message() -> None:
    server = Server(3)
    server.posing = {2}
    assert read(server, 0, 100) == [1, 2, 3]
    assert len(server.requests) == 1


def test_silence_is_an_error_after_a_few_attempts() -> None:
    server = Server(1)
    server.drop = {attempt: {0, 1} for attempt in range(10)}
    with pytest.raises(RelmError) as refused:
        read(server, 0, 10)
    assert refused.value.code is Code.UNREACHABLE
    assert len(server.requests) == 3


def read_bytes(server: Server, limit: int, bytes_max: int) -> list[int]:
    async def ask() -> list[int]:
        reader = DirectReader(cast(Connection, server))
        return [item.sequence for item in (await reader.read_many("S", [("a.b", 0, limit)], bytes_max))[0]]

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("bytes_max", "count"), [(0, 1), (1, 1), (2, 2), (9, 9), (10, 9), (11, 10), (12, 10), (13, 11), (1000, 20)]
)
def test_a_read_ends_at_its_bytes_and_has_its_first_message_in_any_case(bytes_max: int, count: int) -> None:
    # The bodies of 1 to 9 have one byte, those from 10 on two.
    server = Server(20)
    assert read_bytes(server, 100, bytes_max) == list(range(1, count + 1))
    assert len(server.requests) == 1
    assert server.requests[0]["max_bytes"] <= max(bytes_max, server.bounds.read_bytes_max)


def test_what_the_server_counts_beside_bodies_makes_no_second_request() -> None:
    server = Server(20)
    server.overhead = 1
    assert read_bytes(server, 100, 7) == [1, 2, 3, 4]
    assert len(server.requests) == 1


@pytest.mark.parametrize("dropped", [{1}, {4}, {2, 3}, {0}, {4, 0}])
def test_what_was_lost_of_a_read_with_a_bound_is_asked_for_again(dropped: set[int]) -> None:
    server = Server(20)
    server.drop[0] = dropped
    assert read_bytes(server, 100, 7) == [1, 2, 3, 4, 5, 6, 7]
