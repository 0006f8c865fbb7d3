"""Goal: what every stream adapter promises its callers. Method: classes of tests, one for each idea
(`stream_*_contract.py`), run against real servers; each test has a machine of its own, so that tests share a server and
nothing else. What they share is here."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from uuid import uuid4

import orjson
import pytest
from pydantic import BaseModel

from relmachine.kernel.candidate import Message
from relmachine.kernel.limits import Limits
from relmachine.kernel.outcome_rows import OutboxRow
from relmachine.machine import Machine
from relmachine.machine.plan import Plan
from relmachine.stream.bounds import StreamBounds
from relmachine.stream.follow import FeedMessage
from relmachine.stream.nats import NatsStream
from relmachine.stream.port import Hint, Hints, Outgoing
from relmachine.stream.publisher import message_id

SECONDS_MAX = 30.0


class Note(BaseModel):
    """Payload of every step here."""

    text: str = ""


def plan_of(name: str, *, contest: bool = False) -> Plan:
    """A machine of two steps; with `contest` its laws are others."""
    machine = Machine(name)
    received = machine.claim("received")
    machine.process(name="first", asserts=[received])(Note)
    machine.process(name="second", contests=[received] if contest else [], reads=[received])(Note)
    return machine.plan()


def step(thread: str, number: int, token: str = "first", key: str | None = None) -> Outgoing:
    """Step `number` of `thread`; its key is its number unless given."""
    body = orjson.dumps({"id": key or str(number), "data": {"text": f"{thread} {number}"}})
    return Outgoing(thread, token, body, message_id(thread, body))


def numbered(messages: Sequence[Message]) -> list[str]:
    """The texts of messages, in order."""
    return [orjson.loads(message.body)["data"]["text"] for message in messages]


def row(thread: str, seq: int, kind: str = "journal") -> OutboxRow:
    """An outbox row as a turn writes it."""
    body = {"thread": thread, "to_sequence": seq, "outcomes": [{"at": seq, "outcome": "committed"}]}
    return OutboxRow(thread, seq, kind, orjson.dumps(body).decode())  # type: ignore[arg-type]


async def take(
    hints: Hints,
    act: Callable[[Sequence[Hint]], Awaitable[None]],
    *,
    count: int = 0,
    enough: Callable[[], bool] | None = None,
) -> list[Hint]:
    """Hints, each batch given to `act`, until there are `count` of them, or `enough` says so."""
    taken: list[Hint] = []
    batches = hints.batches()
    async for batch in batches:
        taken.extend(batch)
        await act(batch)
        if enough() if enough else len(taken) >= count:
            break
    await batches.aclose()  # type: ignore[attr-defined]
    return taken


async def follow(messages: AsyncIterator[FeedMessage], count: int) -> list[tuple[str, int]]:
    """(thread, sequence) of the next `count` messages of a feed."""
    taken: list[tuple[str, int]] = []
    async for message in messages:
        taken.append((message.thread, message.sequence))
        if len(taken) == count:
            break
    return taken


class StreamContract(ABC):
    """Subclasses say where the server is and how to hurt it."""

    @abstractmethod
    def url(self) -> str:
        """Address of the running server."""

    @abstractmethod
    async def crash_and_return(self) -> None:
        """kill -9 the server and start it again on the same data."""

    @abstractmethod
    async def send_raw(self, *lines: bytes) -> None:
        """Send protocol lines to the server as a stranger may, and return once it has read them."""

    def run(self, test: Coroutine[object, object, None]) -> None:
        """Run an asynchronous test with a deadline."""
        asyncio.run(asyncio.wait_for(test, SECONDS_MAX))

    @asynccontextmanager
    async def stream(
        self,
        plan: Plan,
        store_id: str = "store",
        limits: Limits | None = None,
        bounds: StreamBounds | None = None,
    ) -> AsyncIterator[NatsStream]:
        """An opened stream, closed whatever happens."""
        stream = await NatsStream.open(self.url(), plan, store_id, limits or Limits(), bounds)
        try:
            yield stream
        finally:
            await stream.close()

    @pytest.fixture
    def plan(self) -> Plan:
        return plan_of(f"m{uuid4().hex[:12]}")
