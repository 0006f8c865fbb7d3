"""Goal: the NATS adapter keeps the stream contract, and its server starts, stops and fails as it says. Method: the
contract class on one real nats-server per module; servers of their own where a test hurts them for good."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from relmachine.errors import Code, RelmError
from relmachine.kernel.limits import Limits
from relmachine.stream.bounds import StreamBounds
from relmachine.stream.connection import connect
from relmachine.stream.folder import command_line
from relmachine.stream.nats import NatsStream
from relmachine.stream.server import NatsServer, ServerLimits
from tests.contract.stream_contract import StreamContract, plan_of, step

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path_factory.mktemp("nats"))
    asyncio.run(server.start())
    yield server
    asyncio.run(server.stop())


class TestNats(StreamContract):
    @pytest.fixture(autouse=True)
    def _server(self, server: NatsServer) -> None:
        self.server = server

    def url(self) -> str:
        return self.server.url

    async def crash_and_return(self) -> None:
        await self.server.kill()
        await self.server.start()


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


def test_nobody_there_is_one_clear_error() -> None:
    async def test() -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            url = f"nats://127.0.0.1:{unused.getsockname()[1]}"
            with pytest.raises(RelmError) as refused:
                await connect(url, name="test", bounds=StreamBounds(connect_seconds_max=0.5))
        assert refused.value.code is Code.UNREACHABLE
        assert url in refused.value.sentence

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
