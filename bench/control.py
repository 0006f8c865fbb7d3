"""`python -m bench.control`: how soon a cancelled thread is fenced, idle, under workload W, and at five times what the
node sustains; and that nothing comes after the fence, and nothing that was accepted is lost.

Each cancellation is an HTTP request to the node. Its time runs from before the request is sent until the answer, which
comes once the fence is durable in the store. Load is published to NATS by a process of its own, as agents do it. The
rate that the node sustains is measured first, in the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import nats
from rich.console import Console
from rich.table import Table

from bench.machine import GRANTED
from bench.meter import percentile
from bench.publishing import STEP_SUBJECT, WINDOW, flood
from bench.results import append, commit
from bench.workload import Work, workload

RESULTS = Path(__file__).with_name("results_control.csv")
COLUMNS = (
    "date", "commit", "cores", "stream_sync", "cancels", "sustained_per_s", "loaded_per_s", "overload_per_s",
    "idle_p50_ms", "idle_p95_ms", "loaded_p50_ms", "loaded_p95_ms", "overload_p50_ms", "overload_p95_ms",
    "overload_over_idle", "after_fence", "lost",
)  # fmt: skip

FENCE_P95_MS_MAX = 150.0
OVER_IDLE_MAX = 2.0
LOADED_SHARE = 0.5
"""Of what the node sustains: the load of workload W under which cancellations are timed."""

OVERLOAD = 5.0
PER_SECOND = 20.0
"""Cancellations a second."""

DECIDED_SECONDS_MAX = 600.0


@dataclass(frozen=True, slots=True)
class Phase:
    """Milliseconds of each cancellation, and the steps a second that were offered meanwhile."""

    taken_ms: list[float]
    offered_per_s: float


def main() -> int:
    """Run, print, append to results_control.csv; 1 when a bound does not hold."""
    parser = argparse.ArgumentParser(prog="bench.control", description=__doc__)
    parser.add_argument("--cancels", type=int, default=120, help="cancellations in each phase")
    parser.add_argument("--sync", choices=("default", "always"), default="default", help="when NATS calls fsync")
    parser.add_argument("--quick", action="store_true", help="few of everything, to see that it works; writes nothing")
    given = parser.parse_args()
    cancels = 10 if given.quick else given.cancels
    with tempfile.TemporaryDirectory(prefix="relm-bench-") as name:
        row = asyncio.run(_measured(Path(name), cancels, given.sync))
    console = Console()
    table = Table("figure", "value", "bound")
    bounds = {
        "loaded_p95_ms": FENCE_P95_MS_MAX, "overload_over_idle": OVER_IDLE_MAX, "after_fence": 0, "lost": 0,
    }  # fmt: skip
    for key, value in row.items():
        table.add_row(key, str(value), f"≤ {bounds[key]}" if key in bounds else "")
    console.print(f"{os.cpu_count()} cores, SQLite synchronous=FULL, NATS sync {given.sync}")
    console.print(table)
    if not given.quick:
        append(RESULTS, COLUMNS, row)
    return int(any(float(str(row[key])) > bound for key, bound in bounds.items()))


async def _measured(folder: Path, cancels: int, sync: str) -> dict[str, object]:
    async with _node(folder, sync) as node:
        store = Path(node["store_path"])
        client = await nats.connect(node["nats_url"])
        stream = client.jetstream(publish_async_max_pending=2 * WINDOW)
        # Threads to be cancelled have steps; those of the load come beside them.
        threads = [[f"{phase}-{number}" for number in range(cancels)] for phase in (91, 92, 93)]
        first = [item for phase in (91, 92, 93) for item in workload(cancels, 3, phase)]
        await flood(stream, STEP_SUBJECT, first)
        published = len(first)
        await _decided(store, published)
        warm = workload(100, 60, 4)
        started = time.perf_counter()
        await flood(stream, STEP_SUBJECT, warm)
        published += len(warm)
        await _decided(store, published)
        sustained = len(warm) / (time.perf_counter() - started)
        idle = await _phase(node, threads[0], [], 0.0)
        seconds = cancels / PER_SECOND + 2.0
        phases: list[Phase] = []
        for place, share in ((1, LOADED_SHARE), (2, OVERLOAD)):
            rate = sustained * share
            work = workload(200, max(1, int(rate * seconds / 200)), 10 + place)
            phases.append(await _phase(node, threads[place], work, rate))
            published += len(work)
            await _decided(store, published)
        await client.close()
        after, lost = _after_fence(store), published - _outcomes(store)
    loaded, overload = phases
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit(),
        "cores": os.cpu_count(),
        "stream_sync": sync,
        "cancels": cancels,
        "sustained_per_s": round(sustained),
        "loaded_per_s": round(loaded.offered_per_s),
        "overload_per_s": round(overload.offered_per_s),
        **_percentiles("idle", idle),
        **_percentiles("loaded", loaded),
        **_percentiles("overload", overload),
        "overload_over_idle": round(percentile(overload.taken_ms, 0.95) / percentile(idle.taken_ms, 0.95), 2),
        "after_fence": after,
        "lost": lost,
    }


def _percentiles(name: str, phase: Phase) -> dict[str, object]:
    return {f"{name}_p{share}_ms": round(percentile(phase.taken_ms, share / 100), 1) for share in (50, 95)}


async def _phase(node: dict[str, Any], threads: list[str], work: list[Work], rate: float) -> Phase:
    """Cancel `threads` at a steady rate while `work` is published at `rate` steps a second."""
    if not work:
        return Phase(await _cancels(node["control_url"], threads), 0.0)
    publishing = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.control_load", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert publishing.stdin is not None
    assert publishing.stdout is not None
    told = {
        "url": node["nats_url"],
        "rate": rate,
        "work": [[item.thread, item.step, item.body.decode()] for item in work],
    }
    publishing.stdin.write(json.dumps(told).encode())
    publishing.stdin.close()
    await publishing.stdout.readline()  # it began
    await asyncio.sleep(1.0)  # the load is what is measured under: it has to be there
    taken = await _cancels(node["control_url"], threads)
    seconds = json.loads(await publishing.stdout.readline())
    await publishing.wait()
    return Phase(taken, len(work) / seconds)


async def _cancels(url: str, threads: list[str]) -> list[float]:
    """Milliseconds of each cancellation. One connection, as a command or an operator's page has it."""
    taken: list[float] = []
    async with httpx.AsyncClient(base_url=url, timeout=60.0) as client:
        await client.post("/threads/-/control", json={"record": "resume"})  # opens the connection
        started = time.perf_counter()

        async def one(thread: str) -> None:
            body = {"record": "cancel", "reason": "bench", "principal": GRANTED[0]}
            began = time.perf_counter()
            answer = await client.post(f"/threads/{thread}/control", json=body)
            taken.append((time.perf_counter() - began) * 1000)
            if answer.status_code != 200 or answer.json()["outcome"] != "applied":
                raise AssertionError(answer.text)

        async with asyncio.TaskGroup() as group:
            for index, thread in enumerate(threads):
                await asyncio.sleep(max(0.0, started + index / PER_SECOND - time.perf_counter()))
                group.create_task(one(thread))
    return taken


@contextlib.asynccontextmanager
async def _node(folder: Path, sync: str) -> AsyncIterator[dict[str, Any]]:
    command = [sys.executable, "-m", "bench.control_node", str(folder), sync]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield json.loads(await process.stdout.readline())
    finally:
        process.stdin.close()
        await process.stdout.read()
        await process.wait()


async def _decided(store: Path, steps: int) -> None:
    """Wait until every step has an outcome."""
    deadline = time.monotonic() + DECIDED_SECONDS_MAX
    while _outcomes(store) < steps:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{_outcomes(store)} of {steps} steps were decided")
        await asyncio.sleep(0.1)


def _outcomes(store: Path) -> int:
    return _count(store, "SELECT count(*) FROM receipts")


def _after_fence(store: Path) -> int:
    """Events that came into a thread after it was cancelled, and commits that changed its history."""
    events = "SELECT count(*) FROM thread_stops s JOIN thread_events t ON t.thread = s.thread WHERE t.seq > s.at_seq"
    commits = """SELECT count(*) FROM thread_stops s JOIN commits c ON c.thread = s.thread
        WHERE c.from_seq >= s.at_seq AND c.to_head <> c.from_head"""
    return _count(store, events) + _count(store, commits)


def _count(store: Path, sql: str) -> int:
    with contextlib.closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as db:
        return int(db.execute(sql).fetchone()[0])


if __name__ == "__main__":
    raise SystemExit(main())
