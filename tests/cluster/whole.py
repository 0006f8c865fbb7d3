"""A whole cluster of real processes for tests, one at a time on a machine: supervised in this process, with a line to
its stream and its store; loads that go through it, and what an embedded node makes of the same load."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from relmachine.cluster.kind import Kind
from relmachine.cluster.logins import Logins
from relmachine.cluster.nodes import resized
from relmachine.cluster.plan import programs
from relmachine.cluster.ports import FIRST_PORT
from relmachine.cluster.running import recorded, running
from relmachine.cluster.site import HOST
from relmachine.cluster.spec import ClusterSpec
from relmachine.cluster.state import ProcessState
from relmachine.cluster.supervisor import Supervisor
from relmachine.errors import Code, RelmError
from relmachine.ingest.cases import LogStep
from relmachine.ingest.steps import outgoing, survey
from relmachine.kernel.limits import Limits
from relmachine.node import Node, Settings
from relmachine.store import reading
from relmachine.store.rqlite.bounds import RqliteBounds
from relmachine.store.rqlite.client import RqliteClient
from relmachine.store.rqlite.store import RqliteReading
from relmachine.stream.connecting import connect
from relmachine.stream.follow import FeedReader
from relmachine.stream.port import Outgoing
from relmachine.stream.publisher import NatsPublisher, message_id
from relmachine.stream.topology import topology
from tests import permit
from tests.cluster.contents import Contents, contents
from tests.cluster.small import block
from tests.real_servers import need

DEADLINE_SECONDS = 120.0
LOOK_SECONDS = 0.05

READING = Limits(query_rows_max=200_000, query_seconds_max=60.0)
_LOCK = Path(tempfile.gettempdir()) / "relmachine-tests-one-cluster.lock"
_DECIDED = "SELECT (SELECT count(*) FROM thread_events) + (SELECT count(*) FROM rejections)"


@contextlib.contextmanager
def alone(kinds: Iterable[Kind] = Kind) -> Iterator[None]:
    """Hold the only place for a cluster among the tests that run on this machine. Without the servers for these kinds
    of processes the test is left out."""
    for name in programs(ClusterSpec(3, Path(), "permit", permit.YAML, FIRST_PORT, kinds=frozenset(kinds))):
        need(name)
    with _LOCK.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


async def until(
    condition: Callable[[], Awaitable[bool]],
    what: str,
    seconds: float = DEADLINE_SECONDS,
    told: Callable[[], str] = str,
) -> None:
    """Return when `condition` holds; fail with `what`, and what is `told` then, after the deadline."""
    end = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < end, f"waited {seconds:.0f} s for {what}; {told()}"
        await asyncio.sleep(LOOK_SECONDS)


@dataclass
class Whole:
    """A cluster that runs; addresses have their logins. `acknowledged` are thread and sequence of every step that the
    stream took."""

    cluster: Supervisor
    folder: Path
    stream_url: str
    store_urls: Sequence[str]
    store: RqliteReading
    publisher: NatsPublisher
    feeds: FeedReader
    acknowledged: set[tuple[str, int]] = field(default_factory=set)

    async def publish(self, steps: Sequence[LogStep]) -> dict[str, int]:
        """Publish in order until the stream has acknowledged every step, whatever dies meanwhile; the last sequence of
        each thread."""
        messages = [
            Outgoing(step.thread, step.step_token, step.body, message_id(step.thread, step.body)) for step in steps
        ]
        end = time.monotonic() + DEADLINE_SECONDS
        while True:
            try:
                published = await self.publisher.publish(messages)
                break
            except RelmError as error:
                assert error.code is Code.UNREACHABLE and time.monotonic() < end, error
        last = [(step.thread, one.sequence) for step, one in zip(steps, published, strict=True)]
        self.acknowledged.update(last)
        return dict(last)

    async def decided(self) -> int:
        """Steps decided so far."""
        return int(str((await self.store.select(_DECIDED)).rows[0][0]))

    async def until_decided(self, seconds: float = DEADLINE_SECONDS) -> None:
        """Return when everything that was acknowledged is decided."""

        async def all_decided() -> bool:
            return await self.decided() >= len(self.acknowledged)

        await until(all_decided, f"{len(self.acknowledged)} decided steps", seconds)

    async def resting(self) -> Contents:
        """What the store holds once every message has left for its feed."""

        async def nothing_left() -> bool:
            return (await self.store.select("SELECT count(*) FROM outbox")).rows == ((0,),)

        await until(nothing_left, "the feeds to have everything")
        return await contents(self.store)

    async def refused_by_the_fence(self) -> int:
        """Requests that the trigger rolled back, of all nodes, as the store counts them."""
        counted = await self.store.select("SELECT coalesce(sum(refusals), 0) FROM fence_refusals")
        return int(str(counted.rows[0][0]))

    def of(self, kind: Kind) -> list[ProcessState]:
        """The processes of one kind."""
        return [process for process in self.cluster.state.processes if process.kind == kind]


@contextlib.asynccontextmanager
async def whole(
    folder: Path, kinds: Iterable[Kind] = Kind, *, nodes: int = 3, grants: Path | None = None
) -> AsyncGenerator[Whole]:
    """Nodes of the permit machine and all they need, in `folder`, going on as it began. Hold `alone()` meanwhile."""
    before = recorded(folder)
    spec = ClusterSpec(nodes, folder, "permit", permit.YAML, block(), kinds=frozenset(kinds), grants_path=grants)
    spec = spec if before is None else resized(before.spec(folder), nodes)
    began = time.monotonic()
    async with running(spec) as cluster, contextlib.AsyncExitStack() as stack:
        print(f"{len(cluster.state.processes)} processes ready after {time.monotonic() - began:.0f} s")
        logins, processes = Logins.load(folder), cluster.state.processes
        ports = [process.ports["client"] for process in processes if process.kind == Kind.NATS]
        stream = ",".join(logins.core.url("nats", HOST, port) for port in ports)
        ports = [process.ports["http"] for process in processes if process.kind == Kind.RQLITE]
        stores = [logins.store.url("http", HOST, port) for port in ports]
        patient = RqliteBounds(attempt_seconds_max=2.0, retry_seconds_max=60.0)
        store = RqliteReading(RqliteClient(stores, patient), "", READING)  # there may be no schema yet
        stack.push_async_callback(store.close)
        names = topology(permit.plan())
        publisher = await NatsPublisher.start(stream, names, Limits())
        stack.push_async_callback(publisher.close)
        connection = await connect(stream, name="test")
        stack.push_async_callback(connection.close)
        yield Whole(cluster, folder, stream, stores, store, publisher, FeedReader(connection, names))


def log() -> list[LogStep]:
    """The permit log's steps in its order."""
    machine = permit.machine()
    return list(outgoing(machine, survey(machine, permit.LOG)))


def renamed(steps: Iterable[LogStep], prefix: str) -> list[LogStep]:
    """The same steps on threads of other names."""

    def one(step: LogStep) -> LogStep:
        body = {**json.loads(step.body), "subject": prefix + step.thread}
        return LogStep(prefix + step.thread, step.step_token, json.dumps(body).encode())

    return [one(step) for step in steps]


async def embedded(folder: Path, steps: Sequence[LogStep]) -> Contents:
    """What the embedded node in `folder`, alone, has made of all steps so far once it has decided these too."""
    async with Node.running(permit.machine(), Settings(data_dir=folder, http=False, limits=READING)) as node:
        messages = [
            Outgoing(step.thread, step.step_token, step.body, message_id(step.thread, step.body)) for step in steps
        ]
        published = await node.stream.publisher.publish(messages)
        last = {step.thread: one.sequence for step, one in zip(steps, published, strict=True)}

        async def all_decided() -> bool:
            return await reading.threads_behind(node.store, last) == 0

        await until(all_decided, f"{len(steps)} decided steps on one node")
        return await contents(node.store)
