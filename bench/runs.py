"""The measured runs: the floor and the path, each on a fresh server and a fresh store, with cold caches."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import nats

from bench.meter import Reading, percentile, read
from bench.publishing import STEP_SUBJECT, WINDOW, flood, steady
from bench.workload import Work, expectations
from relmachine.stream.server import NatsServer

DECIDED_SECONDS_MAX = 600.0


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run took. CPU over all processes: publisher, server, consumer or node; of it gate 3's."""

    steps: int
    cpu_seconds: float
    wall_seconds: float
    gate3_cpu_seconds: float = 0.0

    @property
    def cpu_s_per_1k(self) -> float:
        """CPU seconds per 1,000 steps."""
        return self.cpu_seconds / self.steps * 1000

    @property
    def steps_per_s(self) -> float:
        """Steps per second of wall time."""
        return self.steps / self.wall_seconds


async def floor(folder: Path, work: Sequence[Work], sync: str) -> Cost:
    """The raw floor on `work`."""
    server = NatsServer(folder / "nats", sync=cast(Any, sync))
    await server.start()
    try:
        client = await nats.connect(server.url)
        stream = client.jetstream(publish_async_max_pending=2 * WINDOW)
        await stream.add_stream(name="FLOOR", subjects=["floor.>"])
        command = [sys.executable, "-m", "bench.floor", server.url, str(folder / "floor.db"), str(len(work))]
        consumer = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        assert consumer.stdout is not None
        await consumer.stdout.readline()
        before = read([server.pid, consumer.pid])
        await flood(stream, "floor.{thread}.{step}", work)
        # The consumer's CPU joins this process's children when it is reaped, so it is read from there.
        await consumer.wait()
        spent = read([server.pid]) - before
        await client.close()
    finally:
        await server.stop()
    return _cost(work, spent)


async def path(folder: Path, work: Sequence[Work], sync: str) -> Cost:
    """The whole path on `work`; what the gates said is checked against what they should say."""
    async with _node(folder, sync) as node:
        client = await nats.connect(node["nats_url"])
        stream = client.jetstream(publish_async_max_pending=2 * WINDOW)
        before = read(node["pids"])
        await flood(stream, STEP_SUBJECT, work)
        await _decided(Path(node["store_path"]), len(work))
        spent = read(node["pids"]) - before
        await client.close()
        _check(Path(node["store_path"]), work)
    return replace(_cost(work, spent), gate3_cpu_seconds=node["gate3_cpu_seconds"])


async def latencies(folder: Path, work: Sequence[Work], per_second: float, sync: str) -> tuple[float, float]:
    """p50 and p99 in milliseconds from publishing to the outcome on the journal, at a steady rate."""
    async with _node(folder, sync) as node:
        client = await nats.connect(node["nats_url"])
        taken = await steady(client, work, per_second)
        await client.close()
    return percentile(taken, 0.5) * 1000, percentile(taken, 0.99) * 1000


@contextlib.asynccontextmanager
async def _node(folder: Path, sync: str) -> AsyncIterator[dict[str, Any]]:
    command = [sys.executable, "-m", "bench.node", str(folder), sync]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    told: dict[str, Any] = {}
    try:
        told.update(json.loads(await process.stdout.readline()))
        yield told
    finally:
        process.stdin.close()
        lines = (await process.stdout.read()).splitlines()  # what the node logs while it closes stands before the last
        told.update(json.loads(lines[-1]) if lines else {})
        await process.wait()


async def _decided(store: Path, steps: int) -> None:
    """Wait until every step has an outcome and every feed message has left."""
    deadline = time.monotonic() + DECIDED_SECONDS_MAX
    with _reading(store) as db:
        while time.monotonic() < deadline:
            outcomes, left = db.execute(
                "SELECT (SELECT count(*) FROM receipts), (SELECT count(*) FROM outbox)"
            ).fetchone()
            if outcomes == steps and left == 0:
                return
            await asyncio.sleep(0.1)
    raise TimeoutError(f"{outcomes} of {steps} steps were decided")


def _check(store: Path, work: Sequence[Work]) -> None:
    with _reading(store) as db:
        rows = db.execute(
            "SELECT coalesce(outcome ->> 'code', outcome ->> 'outcome'), count(*) FROM receipts GROUP BY 1"
        )
        found, wanted = dict(rows.fetchall()), dict(expectations(list(work)))
    if found != wanted:
        raise AssertionError(f"the gates said {found}, workload W expects {wanted}")


@contextlib.contextmanager
def _reading(store: Path) -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    try:
        yield db
    finally:
        db.close()


def _cost(work: Sequence[Work], spent: Reading) -> Cost:
    return Cost(len(work), spent.cpu_seconds, spent.wall_seconds)
