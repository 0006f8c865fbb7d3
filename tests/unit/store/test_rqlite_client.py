"""Goal: only an answer that says so in every part counts as done, the leader is found, and trying has an end. Method:
answers as servers gave them, and scripted servers in the same process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack

import orjson
import pytest
from aiohttp import web

from relmachine.errors import Code, RelmError
from relmachine.store.port import Table
from relmachine.store.rqlite.answers import Done, Refused, Unknown, taken_apart
from relmachine.store.rqlite.bounds import RqliteBounds
from relmachine.store.rqlite.client import RqliteClient
from relmachine.store.rqlite.level import Level

BOUNDS = RqliteBounds(retry_seconds_max=0.5, retry_pause_seconds=0.001, attempt_seconds_max=0.2)
SELECT = [("SELECT 1",)]
ONE = b'{"results":[{"columns":["1"],"types":["integer"],"values":[[1]]}]}'
DONE = Done((Table(("1",), ((1,),)),))

Answering = Callable[[web.Request], Awaitable[web.Response]]


class Scripted:
    """A server that answers as it is told, and remembers what it was asked."""

    def __init__(self, answering: Answering) -> None:
        self.answering, self.asked = answering, list[str]()

    async def start(self, stack: AsyncExitStack) -> str:
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/db/{path}", self._answer)
        runner = web.AppRunner(app)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return self.url

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path_qs)
        return await self.answering(request)


async def good(_request: web.Request) -> web.Response:
    return web.Response(body=ONE)


async def leaderless(_request: web.Request) -> web.Response:
    return web.Response(status=503, text="leader not found")


async def broken(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def run(
    scripts: Sequence[Answering], test: Callable[[RqliteClient, list[Scripted]], Awaitable[None]], *urls: str
) -> None:
    """Run `test` with a client of servers with these scripts."""

    async def work() -> None:
        async with AsyncExitStack() as stack:
            servers = [Scripted(answering) for answering in scripts]
            addresses = [await server.start(stack) for server in servers]
            client = RqliteClient([*urls, *addresses], BOUNDS)
            stack.push_async_callback(client.close)
            await test(client, servers)

    asyncio.run(work())


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        (200, ONE, DONE),
        (200, b'{"results":[{"last_insert_id":1,"rows_affected":1}]}', Done((Table((), ()),))),
        (200, b'{"results":[{"columns":["a"],"types":["text"]}]}', Done((Table(("a",), ()),))),
        (200, b'{"results":[{"error":"stale"}]}', Refused("stale")),
        (200, b'{"results":[{"rows_affected":1},{"error":"stale"}]}', Refused("stale")),
        (400, b"bad request\n", Refused("bad request")),
        (401, b"", Refused("status 401")),
        (500, b"json: unsupported value: +Inf\n", Refused("json: unsupported value: +Inf")),
        (200, b'{"results":[],"error":"leadership lost while committing log"}', Unknown),
        (200, b'{"error":"not leader"}', Unknown),
        (200, b'{"results":[{"rows_affected":1}],"error":"not leader"}', Unknown),
        (200, b'{"results":[]}', Unknown),
        (200, b'{"results":[{},{}]}', Unknown),
        (200, b"{}", Unknown),
        (200, b"[]", Unknown),
        (200, b'{"results":[{"colu', Unknown),
        (503, b"leader not found", Unknown),
        (500, b"leader address: not open", Unknown),
    ],
)
def test_what_an_answer_says(status: int, text: bytes, expected: object) -> None:
    found = taken_apart(status, text, 1)
    assert type(found) is expected if isinstance(expected, type) else found == expected


def test_a_read_goes_on_at_other_servers_until_one_answers() -> None:
    async def test(client: RqliteClient, servers: list[Scripted]) -> None:
        assert await client.read(SELECT, Level.LINEARIZABLE) == DONE
        assert [len(server.asked) for server in servers] == [1, 1, 1]
        assert "level=linearizable" in servers[2].asked[0]
        assert await client.read(SELECT, Level.WEAK) == DONE
        assert [len(server.asked) for server in servers] == [1, 1, 2], "it stays where it was answered"

    run([leaderless, broken, good], test, "http://127.0.0.1:1")


def test_a_write_is_tried_once() -> None:
    async def test(client: RqliteClient, servers: list[Scripted]) -> None:
        for _ in range(2):
            assert isinstance(await client.write(SELECT), Unknown)
        assert await client.write(SELECT) == DONE
        assert [len(server.asked) for server in servers] == [1, 1, 1]
        assert all("transaction" in server.asked[0] for server in servers)

    run([leaderless, broken, good], test)


def test_the_way_to_the_leader_is_followed_and_remembered() -> None:
    async def test(client: RqliteClient, servers: list[Scripted]) -> None:
        async def follower(request: web.Request) -> web.Response:
            raise web.HTTPMovedPermanently(f"{servers[1].url}{request.path_qs}")

        servers[0].answering = follower
        for _ in range(2):
            assert await client.write(SELECT) == DONE
        assert [len(server.asked) for server in servers] == [1, 2]

    run([good, good], test)


def test_servers_that_point_at_one_another_are_left_alone() -> None:
    async def test(client: RqliteClient, servers: list[Scripted]) -> None:
        for here, there in ((0, 1), (1, 0)):

            async def follower(request: web.Request, there: int = there) -> web.Response:
                raise web.HTTPMovedPermanently(f"{servers[there].url}{request.path_qs}")

            servers[here].answering = follower
        assert isinstance(await client.write(SELECT), Unknown)
        assert sum(len(server.asked) for server in servers) == 3

    run([good, good], test)


def test_nobody_is_followed_to_an_unknown_place() -> None:
    async def test(client: RqliteClient, servers: list[Scripted]) -> None:
        async def follower(request: web.Request) -> web.Response:
            if "redirect" in request.query:
                raise web.HTTPMovedPermanently(f"http://example.invalid:1{request.path_qs}")
            return await good(request)

        servers[0].answering = follower
        for _ in range(2):
            assert await client.write(SELECT) == DONE
        assert len(servers[0].asked) == 3, "from then on the follower passes requests on"

    run([good, leaderless], test)


def test_a_server_that_hangs_is_left_in_time() -> None:
    async def test(client: RqliteClient, servers: list[Scripted]) -> None:
        forever = asyncio.Event()

        async def hang(_request: web.Request) -> web.Response:
            await forever.wait()
            return web.Response()

        servers[0].answering = hang
        assert await client.read(SELECT, Level.LINEARIZABLE) == DONE
        forever.set()

    run([good, good], test)


def test_patience_ends_with_a_named_bound() -> None:
    async def test(client: RqliteClient, servers: list[Scripted]) -> None:
        with pytest.raises(RelmError) as refused:
            await client.read(SELECT, Level.LINEARIZABLE)
        assert refused.value.code is Code.UNREACHABLE
        assert refused.value.witness["retry_seconds_max"] == BOUNDS.retry_seconds_max
        assert refused.value.witness["detail"] == "status 503: leader not found"
        assert len(servers[0].asked) > 3

    run([leaderless], test)


def test_a_refused_question_of_our_own_is_no_empty_answer() -> None:
    async def refusing(_request: web.Request) -> web.Response:
        return web.Response(body=b'{"results":[{"error":"no such table: threads"}]}')

    async def test(client: RqliteClient, _servers: list[Scripted]) -> None:
        with pytest.raises(RelmError) as refused:
            await client.rows(("SELECT 1",))
        assert refused.value.code is Code.INTERNAL

    run([refusing], test)


def test_an_answer_is_bounded_in_bytes() -> None:
    async def long(_request: web.Request) -> web.Response:
        return web.Response(body=orjson.dumps({"results": [{"columns": ["a"], "values": [["x" * 100_000]]}]}))

    async def test(client: RqliteClient, _servers: list[Scripted]) -> None:
        assert isinstance(await client.read(SELECT, Level.WEAK, answer_bytes_max=200_000), Done)
        with pytest.raises(RelmError) as refused:
            await client.read(SELECT, Level.WEAK, answer_bytes_max=50_000)
        assert refused.value.code is Code.LIMIT_EXCEEDED
        assert refused.value.witness == {"answer_bytes_max": 50_000}

    run([long], test)


def test_a_large_request_arrives_whole() -> None:
    sizes: list[int] = []

    async def counting(request: web.Request) -> web.Response:
        sizes.append(len(await request.read()))
        return web.Response(body=ONE)

    async def test(client: RqliteClient, _servers: list[Scripted]) -> None:
        assert await client.write([("x", "y" * 3_000_000)]) == DONE
        assert sizes == [3_000_000 + len('[["x",""]]')]

    run([counting], test)
