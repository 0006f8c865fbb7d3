"""A cluster of nodes that carry out durable runs, as real processes: who asked the model what, and what came of it."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path

from relmachine.cluster.kind import Kind
from relmachine.cluster.logins import Logins
from relmachine.cluster.running import running
from relmachine.cluster.site import HOST
from relmachine.cluster.spec import ClusterSpec
from relmachine.cluster.state import ProcessState
from relmachine.cluster.supervisor import Supervisor
from relmachine.kernel.limits import Limits
from relmachine.machine.loader import load
from relmachine.store.rqlite.bounds import RqliteBounds
from relmachine.store.rqlite.client import RqliteClient
from relmachine.store.rqlite.store import RqliteReading
from relmachine.stream.port import Outgoing
from relmachine.stream.publisher import NatsPublisher, message_id
from relmachine.stream.topology import topology
from tests.cluster import durable_machine
from tests.cluster.small import block
from tests.cluster.whole import READING, until

KINDS = frozenset(Kind) - {Kind.OPA}


@dataclass
class Durable:
    """A cluster that runs."""

    cluster: Supervisor
    folder: Path
    store: RqliteReading
    publisher: NatsPublisher

    async def request(self, threads: Sequence[str]) -> None:
        """Publish one request of the durable step on each thread."""
        bodies = [
            json.dumps(
                {
                    "specversion": "1.0",
                    "id": thread,
                    "source": "test",
                    "type": "propose",
                    "subject": thread,
                    "data": {"title": thread},
                }
            ).encode()
            for thread in threads
        ]
        messages = [
            Outgoing(thread, "propose", body, message_id(thread, body))
            for thread, body in zip(threads, bodies, strict=True)
        ]
        await self.publisher.publish(messages)

    def asked(self, which: str, threads: Sequence[str]) -> list[tuple[int, str]]:
        """Who asked the model for the `first` or the `second` time, and for which thread, in order."""
        path = self.folder / "asked"
        lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        return [(int(pid), title) for pid, what, title in lines if what == which and title in threads]

    async def until_waiting(self, threads: Sequence[str], pids: set[int] | None = None) -> None:
        """Return when the model keeps a run of every thread waiting, in one of the processes `pids`."""

        async def all_wait() -> bool:
            asked = self.asked("second", threads)
            return {title for pid, title in asked if pids is None or pid in pids} == set(threads)

        await until(all_wait, f"{len(threads)} runs to wait for their model", told=self.told)

    async def until_asked(self, threads: Sequence[str], count: int) -> None:
        """Return when the model keeps that many runs of these threads waiting."""

        async def so_many() -> bool:
            return len({title for _, title in self.asked("second", threads)}) >= count

        await until(so_many, f"{count} of {len(threads)} runs to wait for their model", told=self.told)

    def told(self) -> str:
        """What the model was asked."""
        path = self.folder / "asked"
        return path.read_text()[-2000:] if path.exists() else "nobody asked"

    def hold(self) -> None:
        """Let the model keep runs waiting."""
        (self.folder / "release").unlink(missing_ok=True)

    def release(self) -> None:
        """Let the model answer."""
        (self.folder / "release").touch()

    async def events(self) -> Counter[str]:
        """How often the step of each thread became an event."""
        found = await self.store.select("SELECT thread FROM thread_events")
        return Counter(str(thread) for (thread,) in found.rows)

    async def until_ended(self, threads: Sequence[str]) -> None:
        """Return when the runs of all threads have ended."""

        async def ended() -> bool:
            found = await self.store.select("SELECT thread FROM run_ends")
            return {str(thread) for (thread,) in found.rows} >= set(threads)

        await until(ended, f"{len(threads)} runs to end", told=self.told)

    def nodes(self) -> dict[int, ProcessState]:
        """The nodes by process id."""
        return {one.pid: one for one in self.cluster.state.processes if one.kind == Kind.NODE and one.pid}

    def beside(self, node: ProcessState) -> ProcessState:
        """The sidecar of a node."""
        name = node.name.replace(Kind.NODE, Kind.SIDECAR)
        return next(one for one in self.cluster.state.processes if one.name == name)


@contextlib.asynccontextmanager
async def durable(folder: Path, nodes: int = 3) -> AsyncGenerator[Durable]:
    """Nodes and all they need. Hold `whole.alone()` meanwhile."""
    path = folder / "machine.py"
    shutil.copy(durable_machine.__file__, path)
    spec = ClusterSpec(nodes, folder / "cluster", "incident", path, block(), kinds=KINDS)
    async with running(spec) as cluster, contextlib.AsyncExitStack() as stack:
        logins, processes = Logins.load(spec.data_dir), cluster.state.processes
        ports = [process.ports["client"] for process in processes if process.kind == Kind.NATS]
        stream = ",".join(logins.core.url("nats", HOST, port) for port in ports)
        ports = [process.ports["http"] for process in processes if process.kind == Kind.RQLITE]
        stores = [logins.store.url("http", HOST, port) for port in ports]
        patient = RqliteBounds(attempt_seconds_max=2.0, retry_seconds_max=60.0)
        store = RqliteReading(RqliteClient(stores, patient), "", READING)
        stack.push_async_callback(store.close)
        publisher = await NatsPublisher.start(stream, topology(load(path).plan()), Limits())
        stack.push_async_callback(publisher.close)
        yield Durable(cluster, folder, store, publisher)
