"""Workload W through three nodes: the very cluster of `relm up`, loaded by a process of its own and watched in its
store."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench.cluster_meter import by_kind, cpu_seconds, machine_cpu_seconds
from bench.machine import declaration
from bench.node import write_grants
from bench.workload import Work, expectations, workload
from relmachine.cluster.kind import Kind
from relmachine.cluster.logins import Logins
from relmachine.cluster.ports import free_block
from relmachine.cluster.running import running
from relmachine.cluster.site import HOST
from relmachine.cluster.spec import ClusterSpec
from relmachine.cluster.state import Phase
from relmachine.cluster.supervisor import Supervisor
from relmachine.kernel.limits import Limits
from relmachine.store.rqlite.bounds import RqliteBounds
from relmachine.store.rqlite.client import RqliteClient
from relmachine.store.rqlite.store import RqliteReading

NODES = 3
DECIDED_SECONDS_MAX = 600.0
LOOK_SECONDS = 0.1

_LEFT = "SELECT (SELECT count(*) FROM receipts), (SELECT count(*) FROM outbox)"
_OUTCOMES = "SELECT coalesce(outcome ->> 'code', outcome ->> 'outcome'), count(*) FROM receipts GROUP BY 1"
_COUNTS = "SELECT (SELECT count(*) FROM commits), (SELECT coalesce(sum(refusals), 0) FROM fence_refusals)"


@dataclass(frozen=True, slots=True)
class Shape:
    """How workload W is drawn: threads, steps of each, seed. Two loads of one cluster differ in the seed, and so in
    the names of their threads."""

    threads: int
    per_thread: int
    seed: int

    def work(self) -> list[Work]:
        """The steps."""
        return workload(self.threads, self.per_thread, self.seed)

    def arguments(self) -> list[str]:
        """For a process that draws the same."""
        return [str(self.threads), str(self.per_thread), str(self.seed)]


@dataclass(frozen=True, slots=True)
class ClusterCost:
    """What a load took. `wall_seconds` from the first publish until all is decided; `cpu_seconds` by kind of process,
    until the feeds have everything. `turns` are commits of one thread, `refusals` requests that the fence rolled back,
    `cores_elsewhere` the processors that everything else on the machine kept busy meanwhile."""

    steps: int
    wall_seconds: float
    cpu_seconds: Mapping[str, float]
    turns: int
    refusals: int
    cores_elsewhere: float

    @property
    def steps_per_s(self) -> float:
        """Settled steps per second of wall time."""
        return self.steps / self.wall_seconds

    @property
    def cpu_s_per_1k(self) -> float:
        """CPU seconds per 1,000 steps, of all processes."""
        return sum(self.cpu_seconds.values()) / self.steps * 1000


@dataclass(slots=True)
class Bench:
    """A cluster that runs, with a line to its store. `asked` is everything that was published so far."""

    cluster: Supervisor
    logins: Logins
    stream_urls: str
    store: RqliteReading
    asked: list[Work]

    async def flood(self, shape: Shape) -> ClusterCost:
        """Publish at full speed, and wait until everything is decided and has left for the feeds."""
        turns, refusals = await self._counts()
        async with self._publisher(shape) as process:
            before, others = cpu_seconds(self.cluster, process.pid), machine_cpu_seconds()
            started = time.perf_counter()
            await _say(process, "go")
            decided = await self._until_decided()
            spent = by_kind(
                self.cluster, self.logins.store, process.pid, before, cpu_seconds(self.cluster, process.pid)
            )
            elsewhere = machine_cpu_seconds() - others - sum(spent.values())
            seconds = time.perf_counter() - started
        await self._check()
        turns_now, refusals_now = await self._counts()
        return ClusterCost(
            steps=shape.threads * shape.per_thread,
            wall_seconds=decided - started,
            cpu_seconds=spent,
            turns=turns_now - turns,
            refusals=refusals_now - refusals,
            cores_elsewhere=max(0.0, elsewhere / seconds),
        )

    async def latencies(self, shape: Shape, per_second: float) -> list[float]:
        """Seconds from publishing to the outcome on the journal, of every step, at a steady rate."""
        async with self._publisher(shape, str(per_second)) as process:
            await _say(process, "go")
            taken = json.loads(await _told(process))
        await self._until_decided()
        await self._check()
        return taken

    async def cores_at_rest(self, seconds: float) -> float:
        """Processors that the cluster keeps busy while there is nothing to do."""
        before, started = cpu_seconds(self.cluster, self.cluster.state.supervisor_pid), time.perf_counter()
        await asyncio.sleep(seconds)
        after = cpu_seconds(self.cluster, self.cluster.state.supervisor_pid)
        return (sum(after.values()) - sum(before.values())) / (time.perf_counter() - started)

    @contextlib.asynccontextmanager
    async def _publisher(self, shape: Shape, *more: str) -> AsyncGenerator[asyncio.subprocess.Process]:
        """The publishing process, ready to begin at the next line; it lives until the block ends."""
        command = [sys.executable, "-m", "bench.publishing", *shape.arguments(), *more]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, limit=64 * 1024 * 1024)
        try:
            await _say(process, self.stream_urls)
            await _told(process)
            self.asked += shape.work()
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()
            await process.wait()

    async def _until_decided(self) -> float:
        """Wait until every step has an outcome and every feed message has left; when the last outcome was seen."""
        deadline = time.perf_counter() + DECIDED_SECONDS_MAX
        seen: float | None = None
        while time.perf_counter() < deadline:
            outcomes, left = (await self.store.select(_LEFT)).rows[0]
            if outcomes == len(self.asked) and seen is None:
                seen = time.perf_counter()
            if seen is not None and left == 0:
                return seen
            assert self.cluster.state.phase is Phase.READY, "a process of the cluster ended while it was measured"
            await asyncio.sleep(LOOK_SECONDS)
        raise TimeoutError(f"{outcomes} of {len(self.asked)} steps were decided")

    async def _check(self) -> None:
        found = {str(name): int(str(count)) for name, count in (await self.store.select(_OUTCOMES)).rows}
        wanted = dict(expectations(self.asked))
        if found != wanted:
            raise AssertionError(f"the gates said {found}, workload W expects {wanted}")

    async def _counts(self) -> tuple[int, int]:
        commits, refusals = (await self.store.select(_COUNTS)).rows[0]
        return int(str(commits)), int(str(refusals))


@contextlib.asynccontextmanager
async def bench(folder: Path, sync: Literal["default", "always"], nodes: int = NODES) -> AsyncGenerator[Bench]:
    """A cluster on workload W's machine in `folder`, every process ready. Call in the main thread."""
    machine = folder / "w.yaml"
    machine.write_text(declaration())
    spec = ClusterSpec(
        nodes, folder / "cluster", "w", machine, free_block(), sync=sync, grants_path=write_grants(folder)
    )
    async with running(spec) as cluster:
        logins = Logins.load(spec.data_dir)
        urls = [logins.core.url("nats", HOST, one.ports["client"]) for one in _of(cluster, Kind.NATS)]
        stores = [logins.store.url("http", HOST, one.ports["http"]) for one in _of(cluster, Kind.RQLITE)]
        store = RqliteReading(RqliteClient(stores, RqliteBounds()), "", Limits())
        try:
            yield Bench(cluster, logins, ",".join(urls), store, [])
        finally:
            await store.close()


def _of(cluster: Supervisor, kind: Kind) -> Sequence:  # type: ignore[type-arg]
    return [process for process in cluster.state.processes if process.kind == kind]


async def _say(process: asyncio.subprocess.Process, line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n".encode())
    await process.stdin.drain()


async def _told(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None
    line = await process.stdout.readline()
    assert line, "the publisher ended"
    return line
