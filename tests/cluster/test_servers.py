"""Goal: the real servers form a cluster that bears the loss of each. Method: three NATS and three rqlite servers from a
plan; a log and a table; kill -9 one of each, write meanwhile, and read everything back. Then the same from the command
line: up, status, down.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest
from nats.errors import Error
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js import JetStreamContext

from relmachine.cluster.kind import Kind
from relmachine.cluster.leftovers import leftovers
from relmachine.cluster.logins import Login, Logins
from relmachine.cluster.running import running
from relmachine.cluster.spec import ClusterSpec
from relmachine.cluster.state import Phase
from relmachine.cluster.supervisor import Supervisor
from relmachine.stream.connecting import connect
from relmachine.stream.connection import Connection
from tests import permit
from tests.cluster.small import block, kill, until
from tests.real_servers import need
from tests.store_by_hand import ask

pytestmark = [pytest.mark.process, pytest.mark.whole_cluster]

STEPS = 30


def servers(folder: Path) -> ClusterSpec:
    """Three NATS and three rqlite servers."""
    kinds = frozenset({Kind.NATS, Kind.RQLITE})
    return ClusterSpec(3, folder, "permit", permit.YAML, block(), kinds=kinds)


async def connected(cluster: Supervisor, login: Login) -> Connection:
    """A connection that knows all three servers."""
    ports = [process.ports["client"] for process in cluster.state.processes if process.kind == Kind.NATS]
    return await connect(",".join(login.url("nats", "127.0.0.1", port) for port in ports), name="test")


async def published(stream: JetStreamContext, number: int) -> None:
    """Publish one step under an id of its own, again until it is acknowledged."""
    async with asyncio.timeout(40):
        while True:
            try:
                await stream.publish(
                    "relm.permit.step.a.t02", str(number).encode(), headers={"Nats-Msg-Id": str(number)}, timeout=1
                )
                return
            except (Error, OSError, NatsTimeoutError):
                await asyncio.sleep(0.05)


def sql(url: str, statements: list[object]) -> dict[str, object]:
    """The answer of one server. Reads go to `/db/query`: one through `/db/request` was seen to miss the newest row."""
    reads = str(statements[0]).startswith("SELECT")
    path = "query?level=linearizable" if reads else "execute?transaction"
    answer = ask(f"{url}/db/{path}", json.dumps(statements).encode(), seconds=5)
    return cast(dict[str, object], json.loads(answer))


async def stored(cluster: Supervisor, login: Login, statements: list[object]) -> dict[str, object]:
    """The answer of the first server that gives a good one, asked until the deadline."""
    ports = [process.ports["http"] for process in cluster.state.processes if process.kind == Kind.RQLITE]
    urls = [login.url("http", "127.0.0.1", port) for port in ports]
    async with asyncio.timeout(40):
        while True:
            for url in urls:
                try:
                    answer = await asyncio.to_thread(sql, url, statements)
                except OSError:
                    continue
                if "error" not in json.dumps(answer):
                    return answer
            await asyncio.sleep(0.05)


@pytest.fixture(autouse=True)
def programs() -> None:
    """The tests need both servers."""
    need("nats-server")
    need("rqlited")


def test_a_server_of_each_may_die_while_written_to(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(servers(tmp_path)) as cluster:
            logins = Logins.load(tmp_path)
            client = await connected(cluster, logins.core)
            assert client.client.discovered_servers == []  # it would bring no login to those
            await client.jetstream.add_stream(name="steps", subjects=["relm.permit.step.*.*"], num_replicas=3)
            await stored(cluster, logins.store, ["CREATE TABLE t (n INTEGER PRIMARY KEY) STRICT"])
            for number in range(STEPS):
                if number % 10 == 5:
                    member = 1 + number // 10
                    kill(cluster.pids[f"nats-{member}"], signal.SIGKILL)
                    kill(cluster.pids[f"rqlite-{member}"], signal.SIGKILL)
                await published(client.jetstream, number)
                await stored(cluster, logins.store, [["INSERT OR IGNORE INTO t VALUES (?)", number]])
                if number % 10 == 9:
                    await until(lambda: cluster.state.phase is Phase.READY, "the killed servers to be back")
            assert sum(process.restarts for process in cluster.state.processes) == 6
            info = await client.jetstream.stream_info("steps")
            assert info.state.messages == STEPS
            answer = await stored(cluster, logins.store, ["SELECT count(*), sum(n) FROM t"])
            assert cast(list[dict[str, object]], answer["results"])[0]["values"] == [[STEPS, sum(range(STEPS))]]
            await client.close()

    asyncio.run(run())
    assert leftovers(tmp_path) == {}


def test_a_publisher_publishes_steps_and_nothing_else(tmp_path: Path) -> None:
    """It gets the stream's acknowledgement; feeds, the stream's interface and others' steps are closed to it."""

    async def run() -> None:
        spec = ClusterSpec(1, tmp_path, "permit", permit.YAML, block(), kinds=frozenset({Kind.NATS}))
        async with running(spec) as cluster:
            logins = Logins.load(tmp_path)
            core, publisher = await connected(cluster, logins.core), await connected(cluster, logins.publisher)
            subjects = ["relm.permit.step.*.*", "relm.permit.journal.*"]
            await core.jetstream.add_stream(name="everything", subjects=subjects)
            heard: list[str] = []

            async def hear(message: object) -> None:
                heard.append(repr(message))

            await publisher.client.subscribe("_INBOX.>", cb=hear)
            answer = json.loads((await publisher.client.request("relm.permit.step.a.t02", b"1", timeout=5)).data)
            assert (answer["stream"], answer["seq"]) == ("everything", 1)
            for subject in ("relm.permit.journal.a", "relm.other.step.a.t02", "$JS.API.STREAM.INFO.everything"):
                with pytest.raises(Error):
                    await publisher.client.request(subject, b"{}", timeout=0.5)
            heard.clear()
            await publisher.client.subscribe("relm.permit.step.>", cb=hear)
            await core.jetstream.publish("relm.permit.step.b.t02", b"2")
            await publisher.client.flush()
            assert heard == []
            assert (await core.jetstream.stream_info("everything")).state.messages == 2
            await core.close()
            await publisher.close()

    asyncio.run(run())


def relm(*arguments: object) -> subprocess.CompletedProcess[str]:
    """A command of its own."""
    command = [sys.executable, "-m", "relmachine", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_up_status_down_from_the_command_line(tmp_path: Path) -> None:
    """Then the supervisor dies by kill -9: status says so, and the next up goes on with the same data and ports."""
    new = ("--machine", permit.YAML, "--nodes", 3, "--first-port", block(), "--only", "nats")
    made = relm("up", "--data", tmp_path, *new, "--detach", "--json")
    assert made.returncode == 0, made.stderr
    try:
        addresses = json.loads(made.stdout)["addresses"]
        assert set(addresses) == {"nats-1", "nats-2", "nats-3"}
        again = relm("up", "--data", tmp_path, "--detach")
        assert again.returncode == 4 and "relm down" in again.stderr
        seen = relm("status", "--data", tmp_path, "--json")
        status = json.loads(seen.stdout)
        assert seen.returncode == 0 and status["phase"] == "ready"
        assert all(one["ready"] and one["cpu_seconds"] >= 0 and one["memory_mib"] > 1 for one in status["processes"])
        os.kill(status["supervisor_pid"], signal.SIGKILL)
        asyncio.run(until(lambda: not leftovers(tmp_path), "the servers to die with their supervisor"))
        seen = relm("status", "--data", tmp_path, "--json")
        assert seen.returncode == 1 and json.loads(seen.stdout)["phase"] == "stopped"
        back = relm("up", "--data", tmp_path, "--detach", "--json")
        assert back.returncode == 0, back.stderr
        assert json.loads(back.stdout)["addresses"] == addresses
    finally:
        ended = relm("down", "--data", tmp_path)
    assert ended.returncode == 0 and ended.stderr.count("stopped: exit 0") == 3
    assert "the cluster is down" in ended.stdout
    assert "no cluster was running" in relm("down", "--data", tmp_path).stdout


def test_a_cluster_that_nobody_named_a_machine_for(tmp_path: Path) -> None:
    assert relm("up", "--data", tmp_path).returncode == 2
    assert relm("status", "--data", tmp_path).returncode == 3
    assert relm("down", "--data", tmp_path).returncode == 3
