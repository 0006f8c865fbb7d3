"""Goal: each answer reaches the one who asked, and a handler that raises harms nobody else. Method: a client in memory
that hands messages to the subscription as nats-py does."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from nats.aio.client import Client

from relmachine.stream.replies import Replies


class Memory:
    """Keeps the subscription's sink and delivers to it."""

    def new_inbox(self) -> str:
        return "_INBOX.x"

    async def subscribe(self, subject: str, future: Any) -> Any:
        assert subject == "_INBOX.x.*"
        self.sink = future
        return self

    async def unsubscribe(self) -> None: ...

    def deliver(self, subject: str) -> None:
        if not self.sink.cancelled():
            self.sink.set_result(Note(subject))


class Note:
    """A message."""

    def __init__(self, subject: str) -> None:
        self.subject = subject


def test_answers_reach_who_asked_until_they_close() -> None:
    memory = Memory()
    replies = asyncio.run(Replies.on(cast(Client, memory)))
    first: list[object] = []
    second: list[object] = []
    one, two = replies.open(first.append), replies.open(second.append)
    for subject in (one, two, two, "_INBOX.x.unknown"):
        memory.deliver(subject)
    assert (len(first), len(second)) == (1, 2)
    replies.close(two)
    memory.deliver(two)
    assert len(second) == 2


def test_a_handler_that_raises_harms_nobody_else() -> None:
    memory = Memory()
    replies = asyncio.run(Replies.on(cast(Client, memory)))
    seen: list[object] = []

    def broken(_: object) -> None:
        raise ValueError("broken handler")

    bad, good = replies.open(broken), replies.open(seen.append)
    memory.deliver(bad)
    memory.deliver(good)
    assert len(seen) == 1
