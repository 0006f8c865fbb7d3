"""Goal: what the stream says of lag is exact. Method: a real nats-server, steps published in a known order, hints
taken, acknowledged and handed back by hand; a read bounded in bytes beside it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from uuid import uuid4

import pytest

from relmachine.errors import Code, RelmError
from relmachine.kernel.limits import Limits
from relmachine.stream import lag
from relmachine.stream.lag import Backlog
from relmachine.stream.nats import NatsStream
from relmachine.stream.port import Hint, Outgoing
from relmachine.stream.reader import NatsReader
from relmachine.stream.server import NatsServer
from tests.contract.stream_contract import plan_of, row, step, take

pytestmark = pytest.mark.process

ORDER = ["a", "b", "a", "c", "a", "b", "a", "d", "a", "a"]
"""Threads of the sequences 1 to 10."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path_factory.mktemp("nats"))
    asyncio.run(server.start())
    yield server
    asyncio.run(server.stop())


def on_stream(server: NatsServer, work: Callable[[NatsStream], Awaitable[None]]) -> None:
    async def run() -> None:
        stream = await NatsStream.open(server.url, plan_of(f"m{uuid4().hex[:12]}"), "store", Limits())
        try:
            tokens = ("first", "second")
            await stream.publisher.publish([step(t, n, tokens[n % 2]) for n, t in enumerate(ORDER, start=1)])
            await work(stream)
        finally:
            await stream.close()

    asyncio.run(asyncio.wait_for(run(), 30))


async def hints_of(stream: NatsStream, done: set[int]) -> list[Hint]:
    """All hints, those in `done` acknowledged."""

    async def act(batch: object) -> None:
        await stream.hints.done([hint for hint in batch if hint.sequence in done])  # type: ignore[attr-defined]

    return await take(stream.hints, act, count=len(ORDER))


async def until_backlog(stream: NatsStream, expected: Backlog) -> None:
    """Acknowledgements have no answer: wait until the server has read them."""
    end = time.monotonic() + 10
    while (found := await stream.lag.backlog()) != expected:
        assert time.monotonic() < end, (found, expected)
        await asyncio.sleep(0.02)


def test_the_backlog_is_what_is_not_acknowledged(server: NatsServer) -> None:
    async def work(stream: NatsStream) -> None:
        assert await stream.lag.backlog() == Backlog(10, 0, 10, 0)
        hints = await hints_of(stream, {1, 2, 4, 7})
        await until_backlog(stream, Backlog(10, 2, 0, 6))
        assert stream.lag.open_hints.by_thread() == {"a": [3, 5, 9, 10], "b": [6], "d": [8]}
        await stream.hints.again([hint for hint in hints if hint.sequence == 8])
        assert stream.lag.open_hints.by_thread()["d"] == [8]
        await stream.hints.done(hints)
        await until_backlog(stream, Backlog(10, 10, 0, 0))
        assert len(stream.lag.open_hints) == 0

    on_stream(server, work)


def test_the_first_steps_behind_the_floor_are_found_by_thread(
    server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(stream: NatsStream) -> None:
        assert await stream.lag.first_above(4) == {"a": [5, 7, 9, 10], "b": [6], "d": [8]}
        assert await stream.lag.first_above(10) == {}
        monkeypatch.setattr(lag, "SCAN_MESSAGES_MAX", 3)
        assert await stream.lag.first_above(4) == {"a": [5, 7], "b": [6]}
        monkeypatch.setattr(lag, "SCAN_BYTES_MAX", 1)
        assert await stream.lag.first_above(4) == {"a": [5]}

    on_stream(server, work)


def test_a_thread_is_counted_from_its_cursor_over_all_its_steps(server: NatsServer) -> None:
    async def work(stream: NatsStream) -> None:
        began = time.time()
        assert await stream.lag.newest_of(["a", "b", "c", "d", "nobody"]) == [10, 6, 4, 8, 0]
        asked = [("a", 0), ("a", 3), ("a", 9), ("a", 10), ("b", 3), ("nobody", 0)]
        found = await stream.lag.first_steps(asked)
        counts = [None if one is None else (one.sequence, one.steps) for one in found]
        assert counts == [(1, 6), (5, 4), (10, 1), None, (6, 1), None]
        assert all(one is None or began - 30 < one.at < began + 30 for one in found)

    on_stream(server, work)


def test_the_time_of_a_step_is_the_servers_word(server: NatsServer) -> None:
    async def work(stream: NatsStream) -> None:
        ages = [await stream.lag.published_at(sequence) for sequence in (1, 10)]
        assert ages[0] is not None
        assert ages[1] is not None
        assert ages[0] <= ages[1] <= time.time() + 1
        assert await stream.lag.published_at(11) is None
        subject = stream.topology.step_subject("e", "first")
        headers = {"Nats-Time-Stamp": "1999-01-01T00:00:00Z", "Nats-Num-Pending": "77"}
        await stream.connection.jetstream.publish(subject, b"{}", headers=headers)
        (found,) = await stream.lag.first_steps([("e", 0)])
        assert found is not None
        assert (found.steps, found.at >= ages[1]) == (1, True)

    on_stream(server, work)


def test_the_ends_of_the_feeds_are_those_of_each_kind(server: NatsServer) -> None:
    async def work(stream: NatsStream) -> None:
        assert await stream.lag.ends() == {"journal": 0, "out": 0, "rejected": 0}
        rows = [row("a", 1), row("b", 2), row("a", 1, "out"), row("a", 3, "rejected"), row("c", 4, "out")]
        assert len(await stream.feeds.emit(rows)) == 5
        ends = await stream.lag.ends()
        assert (ends["journal"], sorted((ends["out"], ends["rejected"]))[1]) == (2, 3)
        assert min(ends.values()) > 0

    on_stream(server, work)


def test_a_lost_connection_is_said_at_once(server: NatsServer) -> None:
    async def work(stream: NatsStream) -> None:
        await server.kill()
        try:
            while stream.connection.usable:  # noqa: ASYNC110 - the connection tells only when asked
                await asyncio.sleep(0.01)
            async with asyncio.timeout(1):
                with pytest.raises(RelmError) as refused:
                    await stream.lag.backlog()
        finally:
            await server.start()
        assert refused.value.code is Code.UNREACHABLE

    on_stream(server, work)


@pytest.mark.parametrize("kept", [True, False])
def test_a_read_bounded_in_bytes_goes_on_where_it_ended(server: NatsServer, kept: bool) -> None:
    async def work(stream: NatsStream) -> None:
        body = b"x" * 1000
        await stream.publisher.publish([Outgoing("long", "first", body, f"{uuid4().hex}") for _ in range(20)])
        if kept:
            await take(stream.hints, stream.hints.again, count=30)
        reader = stream.reader if kept else NatsReader(stream.connection, stream.topology)
        found: list[int] = []
        sizes: list[int] = []
        while len(found) < 20:
            (part,) = await reader.read_many([("long", found[-1] if found else 0, 100)], 3500)
            sizes.append(len(part))
            found += [message.sequence for message in part]
        assert found == list(range(11, 31))
        assert max(sizes) == 3
        assert [len(part) for part in await reader.read_many([("long", 0, 5), ("a", 0, 9), ("long", 0, 9)], 1)] == [
            1
        ] * 3

    on_stream(server, work)
