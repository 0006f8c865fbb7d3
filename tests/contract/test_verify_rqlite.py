"""Goal: verifying a store on servers never takes motion for damage, and finds damage while it moves. Method: one real
server, written to all the while; a stand-in that hands out older files, or half of one."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from relmachine.errors import Code, RelmError
from relmachine.kernel.limits import Limits
from relmachine.store.port import Committed
from relmachine.store.rqlite.bounds import RqliteBounds
from relmachine.store.rqlite.store import RqliteReading, RqliteStore, open_reading
from relmachine.store.verify import Report, verify
from tests.contract.rqlite_servers import RqliteServers
from tests.contract.store_turns import Desk

pytestmark = pytest.mark.process

LIMITS = Limits(section_snapshot_every=4)
ROUNDS = 6
RESTING = "rest"
"""A thread that nobody goes on with."""
PAYLOAD = "(SELECT event_id FROM thread_events WHERE thread = 'rest' ORDER BY seq LIMIT 1)"
NO_UTF8 = "CAST(x'22ff22' AS TEXT)"


@pytest.fixture
def server(one_rqlite: RqliteServers) -> RqliteServers:
    one_rqlite.clear()
    return one_rqlite


class Moving:
    """A store that is written to until the block ends: threads begin and go on, messages leave, snapshots are taken."""

    def __init__(self, store: RqliteStore) -> None:
        self.store, self.made, self.commits, self.longest_seconds = store, Desk.new(), 0, 0.0
        self._moved = asyncio.Event()

    async def write(self) -> None:
        """One commit."""
        began = time.monotonic()
        names = [f"t{index}" for index in range(2 + self.commits % 30)]
        turns = [self.made.notes(name, 3) if name in self.made.states else self.made.opening(name) for name in names]
        sent = (await self.store.unsent(40))[::2]
        assert await self.store.commit(turns, sent) == [Committed(name) for name in names]
        self.commits += 1
        self._moved.set()
        self.longest_seconds = max(self.longest_seconds, time.monotonic() - began)

    async def moves(self) -> None:
        """Return when it has been written to once more."""
        self._moved.clear()
        await self._moved.wait()

    @classmethod
    @contextlib.asynccontextmanager
    async def on(cls, servers: RqliteServers) -> AsyncIterator[Moving]:
        """The store on these servers, moving."""
        store = await RqliteStore.open(servers.urls, Desk.new().plan, LIMITS)
        moving = cls(store)
        assert await store.commit([moving.made.opening(RESTING)]) == [Committed(RESTING)]
        await moving.write()

        async def go_on() -> None:
            while True:
                await moving.write()

        writing = asyncio.create_task(go_on())
        try:
            yield moving
        finally:
            writing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writing
            await store.close()


async def _verified(servers: RqliteServers) -> Report:
    reading = await open_reading(servers.urls)
    try:
        return await verify(reading)
    finally:
        await reading.close()


def test_a_store_that_moves_is_right_and_seen_with_all_that_was_acknowledged(server: RqliteServers) -> None:
    async def test() -> None:
        async with Moving.on(server) as moving:
            meanwhile = 0
            for _ in range(ROUNDS):
                acknowledged, before = await moving.store.select("SELECT count(*) FROM commits"), moving.commits
                report = await _verified(server)
                assert report.fault is None
                assert report.counts["commits"] >= acknowledged.rows[0][0]
                meanwhile += moving.commits - before
                await moving.moves()
            assert meanwhile >= ROUNDS, "it stood still while it was verified"
            print(f"{meanwhile} commits during {ROUNDS} verifications, none took {moving.longest_seconds:.2f} s")

    asyncio.run(test())


@pytest.mark.parametrize(
    ("guard", "change", "differs"),
    [
        ("events_update", f"events SET payload = '{{}}' WHERE event_id = {PAYLOAD}", "events.payload_digest"),
        ("events_update", f"events SET payload = {NO_UTF8} WHERE event_id = {PAYLOAD}", "cannot be computed"),
        ("threads_state", "threads SET state = '{}' WHERE thread = 'rest'", "threads.state"),
        ("commits_update", "commits SET to_head = 'x' WHERE thread = 'rest' AND from_seq = 0", "the chain of heads"),
    ],
)
def test_damage_is_found_while_the_store_moves(server: RqliteServers, guard: str, change: str, differs: str) -> None:
    """Also text that is no UTF-8, which the servers' JSON would have made whole again."""

    async def test() -> None:
        async with Moving.on(server) as moving:
            assert (await _verified(server)).ok
            node = server.servers[0]
            assert node.execute(f"DROP TRIGGER {guard}") == ""
            assert node.execute(f"UPDATE {change}") == ""
            before = moving.commits
            fault = (await _verified(server)).fault
            assert fault is not None
            assert differs in fault.differs
            assert fault.thread == RESTING
            assert moving.commits > before, "it stood still"

    asyncio.run(test())


class HandsOut:
    """A stand-in before a server: its file is answered by `files` first, one after the other; `half` breaks off.
    `rewritten` says of each answer whether a file was asked for that has all of the log."""

    def __init__(self, target: str, *files: bytes, half: bool = False, status: int = 200) -> None:
        self._target, self._files, self._half, self._status = target, list(files), half, status
        self.rewritten: list[bool] = []

    async def __aenter__(self) -> str:
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._session = aiohttp.ClientSession()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/db/backup":
            self.rewritten.append("vacuum" in request.query)
            if self._status != 200:
                return web.Response(status=self._status, body=b"not for you")
            if self._half:
                self._half = False
                return await self._broken(request)
            if self._files:
                return web.Response(body=self._files.pop(0))
        headers = {"Content-Type": request.headers.get("Content-Type", "")}
        url, body = f"{self._target}{request.path_qs}", await request.read()
        async with self._session.request(request.method, url, data=body, headers=headers) as answer:
            return web.Response(status=answer.status, body=await answer.read())

    async def _broken(self, request: web.Request) -> web.StreamResponse:
        async with self._session.get(f"{self._target}/db/backup") as answer:
            whole = await answer.read()
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(whole[: len(whole) // 2])
        assert request.transport is not None
        request.transport.abort()
        return response


async def _filled(servers: RqliteServers, *threads: str) -> bytes:
    """The server's file after these threads began."""
    made = Desk.new()
    store = await RqliteStore.open(servers.urls, made.plan)
    for thread in threads:
        await store.commit([made.opening(thread)])
    await store.close()
    async with aiohttp.ClientSession() as session, session.get(f"{servers.urls[0]}/db/backup") as answer:
        return await answer.read()


async def _looking(url: str, bounds: RqliteBounds) -> RqliteReading:
    return await open_reading([url], bounds=bounds)


@pytest.mark.parametrize("half", [False, True])
def test_an_older_file_or_half_of_one_is_asked_for_again(server: RqliteServers, half: bool) -> None:
    async def test() -> None:
        old = await _filled(server, "a")
        await _filled(server, "b")
        stand_in = HandsOut(server.urls[0], *([] if half else [old, old]), half=half)
        async with stand_in as url:
            reading = await _looking(url, RqliteBounds())
            report = await verify(reading)
            assert (report.fault, report.counts["threads"]) == (None, 2)
            assert stand_in.rewritten == ([False] * 2 if half else [False, True, True])
            await reading.close()

    asyncio.run(test())


@pytest.mark.parametrize(
    ("status", "bounds", "code"),
    [
        (200, RqliteBounds(retry_seconds_max=0.3), Code.UNREACHABLE),
        (503, RqliteBounds(retry_seconds_max=0.3), Code.UNREACHABLE),
        (401, RqliteBounds(), Code.INTERNAL),
        (200, RqliteBounds(copy_bytes_max=10_000), Code.LIMIT_EXCEEDED),
    ],
)
def test_where_no_file_can_be_had_nothing_is_said_of_the_store(
    server: RqliteServers,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    bounds: RqliteBounds,
    code: Code,
) -> None:
    """And nothing is left in the folder for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    async def test() -> None:
        old = await _filled(server, "a")
        await _filled(server, "b")
        async with HandsOut(server.urls[0], *[old] * 1000, status=status) as url:
            reading = await _looking(url, bounds)
            with pytest.raises(RelmError) as refused:
                await verify(reading)
            assert refused.value.code is code
            await reading.close()

    asyncio.run(test())
    assert list(tmp_path.iterdir()) == []


def test_without_room_for_a_copy_the_folder_is_named(server: RqliteServers, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    async def test() -> None:
        await _filled(server, "a")
        reading = await open_reading(server.urls)
        monkeypatch.setattr(asyncio, "to_thread", full)
        with pytest.raises(RelmError) as refused:
            await verify(reading)
        monkeypatch.undo()
        assert refused.value.code is Code.LIMIT_EXCEEDED
        assert "TMPDIR" in refused.value.sentence
        assert refused.value.witness["folder"] == tempfile.gettempdir()
        await reading.close()

    asyncio.run(test())
