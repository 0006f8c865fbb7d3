"""Goal: without the cluster's login nobody reads or changes the store, and nobody joins its servers. Method: one real
server as a plan of `relm up` has it, asked on every path with no login, a wrong one and the right one; the code's own
client and administrator with the addresses that a node is told.
"""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from relmachine.cluster import probe
from relmachine.cluster.kind import Kind
from relmachine.cluster.logins import Login, Logins
from relmachine.cluster.plan import plan
from relmachine.cluster.spec import ClusterSpec, ProcessSpec
from relmachine.errors import Code, RelmError
from relmachine.kernel.limits import Limits
from relmachine.node.private import write_private
from relmachine.store.rqlite.admin import RqliteAdmin
from relmachine.store.rqlite.answers import Done, Refused
from relmachine.store.rqlite.bounds import RqliteBounds
from relmachine.store.rqlite.client import RqliteClient
from relmachine.store.rqlite.level import Level
from tests import permit
from tests.cluster.small import block
from tests.real_servers import need

pytestmark = pytest.mark.process

DEADLINE_SECONDS = 40.0
LOGINS = Logins()
WRONG = [
    None,
    Login(user="store"),  # with a password of its own
    Login(user="core", password=LOGINS.store.password),
    Login.model_construct(user="*", password=""),
    Login.model_construct(user="store", password=""),
]

_WRITES = [["CREATE TABLE harm (x)"]]
_REQUESTS = [
    ("POST", "/db/execute", json.dumps(_WRITES).encode()),
    ("POST", "/db/execute?queue", json.dumps(_WRITES).encode()),
    ("POST", "/db/query", b'["SELECT x FROM kept"]'),
    ("GET", "/db/query?level=none&q=SELECT%20x%20FROM%20kept", None),
    ("POST", "/db/request", json.dumps(_WRITES).encode()),
    ("GET", "/db/backup", None),
    ("POST", "/db/load", b"CREATE TABLE harm (x);"),
    ("POST", "/boot", b"SQLite format 3\0"),
    ("POST", "/snapshot", b""),
    ("DELETE", "/remove", b'{"id": "rqlite-1"}'),
    ("GET", "/status", None),
    ("GET", "/nodes", None),
    ("GET", "/debug/vars", None),
    ("GET", "/debug/pprof/cmdline", None),
]
"""Every path of rqlite 8.36 that tells or changes something."""


@dataclass(frozen=True)
class Server:
    """A server that runs; `told` is what the plan tells a node."""

    spec: ProcessSpec
    told: str


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that holds a table with one row."""
    folder, program = tmp_path_factory.mktemp("login"), need("rqlited")
    spec = ClusterSpec(1, folder, "permit", permit.YAML, block(), kinds=frozenset({Kind.RQLITE, Kind.NODE}))
    made = plan(spec, {"rqlited": program}, LOGINS)
    rqlite, node = made.processes
    rqlite.folder.mkdir()
    for file in made.files:
        write_private(file.path, file.text, file.mode)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(rqlite.command, stdout=log, stderr=log, cwd=rqlite.folder)
    try:
        end = time.monotonic() + DEADLINE_SECONDS
        while not asyncio.run(probe.answers(rqlite.ready)):
            assert process.poll() is None and time.monotonic() < end, (folder / "log").read_text()[-2000:]
            time.sleep(0.02)
        kept = json.dumps([["CREATE TABLE kept (x)"], ["INSERT INTO kept VALUES (7)"]]).encode()
        assert asked(rqlite, LOGINS.store, "POST", "/db/execute?transaction", kept) == 200
        yield Server(rqlite, node.environment["RELM_STORE_URLS"])
    finally:
        process.kill()
        process.wait()


def asked(server: ProcessSpec, login: Login | None, method: str, path: str, body: bytes | None) -> int:
    """The status that it answers."""
    request = urllib.request.Request(f"{server.address}{path}", body, {"Content-Type": "application/json"})
    request.method = method
    if login is not None:
        words = base64.b64encode(f"{login.user}:{login.password}".encode()).decode()
        request.add_header("Authorization", f"Basic {words}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize("login", WRONG, ids=["none", "other password", "other user", "everybody", "no password"])
def test_without_the_login_nothing_is_read_or_written(server: Server, login: Login | None) -> None:
    for method, path, body in _REQUESTS:
        assert asked(server.spec, login, method, path, body) == 401, path
    assert tables(server) == (("kept",),)


def test_anybody_may_ask_whether_it_is_ready_and_nothing_else(server: Server) -> None:
    """So that health checks need no login: what asks is written down where all may read."""
    assert asyncio.run(probe.answers(server.spec.ready))
    assert asked(server.spec, None, "GET", "/readyz", None) == 200


def tables(server: Server) -> tuple[tuple[object, ...], ...]:
    """What there is, by the administrator's client."""
    admin = RqliteAdmin([server.told], Limits(), Level.LINEARIZABLE)
    return admin.read("SELECT name FROM sqlite_schema").rows


def test_a_node_reads_and_writes_with_what_the_plan_tells_it(server: Server) -> None:
    async def work(url: str) -> object:
        client = RqliteClient([url], RqliteBounds(retry_seconds_max=1.0))
        try:
            return await client.write([("INSERT INTO kept VALUES (8)",)]), await client.rows(("SELECT x FROM kept",))
        finally:
            await client.close()

    written, rows = asyncio.run(work(server.told))
    assert isinstance(written, Done) and rows == ((7,), (8,))


def test_a_client_without_the_login_is_told_so_and_nobody_is_shown_it(server: Server) -> None:
    async def write(url: str) -> object:
        client = RqliteClient([url], RqliteBounds(retry_seconds_max=1.0))
        try:
            return await client.write([("DELETE FROM kept",)]), client.urls
        finally:
            await client.close()

    answer, shown = asyncio.run(write(server.spec.address))
    assert isinstance(answer, Refused) and "401" in answer.detail
    _, shown = asyncio.run(write(server.told.replace(LOGINS.store.password, "x" * 32)))
    assert shown == (server.spec.address,)
    with pytest.raises(RelmError) as away:
        RqliteAdmin([server.spec.address], Limits(), Level.LINEARIZABLE).read("SELECT x FROM kept")
    assert away.value.code is not Code.INTERNAL
    assert LOGINS.store.password not in str(away.value.witness)


def test_whoever_has_no_login_does_not_join(server: Server, tmp_path: Path) -> None:
    """A member would have every row, and a vote."""
    port = block()
    raft = f"127.0.0.1:{server.spec.ports['raft']}"
    command = [str(need("rqlited")), "-node-id", "stranger", "-http-addr", f"127.0.0.1:{port}"]
    command += ["-raft-addr", f"127.0.0.1:{port + 1}", "-join", raft, "-join-attempts", "1", str(tmp_path / "data")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode != 0 and "unauthorized" in ended.stdout + ended.stderr
