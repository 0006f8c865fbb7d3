"""Goal: a body beyond the limit is refused without being held. Method: a stream of counted chunks."""

from __future__ import annotations

import asyncio
import tracemalloc

import pytest
from starlette.requests import Request
from starlette.types import Message

from relmachine.errors import Code, RelmError
from relmachine.kernel.limits import Limits
from relmachine.observe.http_body import DISCARDED_BYTES_MAX, bounded_body

LIMITS = Limits(payload_bytes_max=1000)


class Sender:
    """Sends `chunks` chunks of `size` bytes and counts those that were taken."""

    def __init__(self, chunks: int, size: int) -> None:
        self.left, self.size, self.taken = chunks, size, 0

    async def receive(self) -> Message:
        self.left -= 1
        self.taken += 1
        return {"type": "http.request", "body": b"x" * self.size, "more_body": self.left > 0}

    def request(self) -> Request:
        return Request({"type": "http", "method": "POST", "headers": []}, self.receive)


@pytest.mark.parametrize(("chunks", "size"), [(1, 1000), (10, 100), (1, 0)])
def test_a_body_up_to_the_limit_arrives(chunks: int, size: int) -> None:
    assert asyncio.run(bounded_body(Sender(chunks, size).request(), LIMITS)) == b"x" * (chunks * size)


@pytest.mark.parametrize(("chunks", "size"), [(1, 1001), (11, 100), (2, 501)])
def test_a_byte_more_is_refused_and_the_limit_named(chunks: int, size: int) -> None:
    with pytest.raises(RelmError) as caught:
        asyncio.run(bounded_body(Sender(chunks, size).request(), LIMITS))
    assert caught.value.code is Code.PAYLOAD_TOO_LARGE
    assert caught.value.witness["payload_bytes_max"] == 1000


def test_what_is_too_large_is_read_to_its_end_but_never_held() -> None:
    sender = Sender(64, 64 * 1024)
    tracemalloc.start()
    with pytest.raises(RelmError):
        asyncio.run(bounded_body(sender.request(), LIMITS))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sender.taken == 64
    assert peak_bytes < 1024 * 1024


def test_a_body_without_end_is_cut_off() -> None:
    sender = Sender(10**9, 1024 * 1024)
    with pytest.raises(RelmError):
        asyncio.run(bounded_body(sender.request(), LIMITS))
    assert sender.taken <= DISCARDED_BYTES_MAX // (1024 * 1024) + 1
