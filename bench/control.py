"""`python -m bench.control`: how soon a cancelled thread is fenced, idle, under workload W, and at five times what the
node sustains; and that nothing comes after the fence, and nothing that was accepted is lost.

Each cancellation is an HTTP request to the node. Its time runs from before the request is sent until the answer, which
comes once the fence is durable in the store. Load is published to NATS by a process of its own, as agents do it. The
rate that the node sustains is measured at the beginning of each round. The three follow each other in rounds, each
round with another first: a machine is faster at one time and slower at another, and then each of them meets both.
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
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from statistics import mean, median
from typing import TYPE_CHECKING, Any

import nats
import psutil
from rich.console import Console
from rich.table import Table

from bench.meter import percentile, read
from bench.publishing import STEP_SUBJECT, WINDOW, flood
from bench.results import append, commit
from bench.workload import Work, workload

if TYPE_CHECKING:
    from asyncio.subprocess import Process

    from nats.js import JetStreamContext

RESULTS = Path(__file__).with_name("results_control.csv")
COLUMNS = (
    "date", "commit", "cores", "stream_sync", "lane_nice", "cancels", "rounds",
    "sustained_per_s", "loaded_per_s", "overload_per_s",
    "idle_p50_ms", "idle_p95_ms", "loaded_p50_ms", "loaded_p95_ms", "overload_p50_ms", "overload_p95_ms",
    "overload_over_idle", "over_idle_min", "over_idle_median", "over_idle_max", "after_fence", "lost",
)  # fmt: skip

FENCE_P95_MS_MAX = 150.0
OVER_IDLE_MAX = 2.0
LOADED_SHARE = 0.5
"""Of what the node sustains: the load of workload W under which cancellations are timed."""

OVERLOAD = 5.0
PER_SECOND = 20.0
"""Cancellations a second."""

CANCELLED = 1_000
LOADING = 2_000
"""Where the names of threads begin that are cancelled, and that are the load, a number for each phase."""

WARMING = 4_000
"""The same for what the node is measured with at the beginning of a round."""

DECIDED_SECONDS_MAX = 600.0

RESTED_SECONDS = 0.5
RESTED_SHARE = 0.1
"""A node that uses less of one core than this, for so long, is idle."""


SHARES = {"idle": 0.0, "loaded": LOADED_SHARE, "overload": OVERLOAD}
"""The phases of a round, and of what the node sustains how much is offered meanwhile."""


@dataclass(slots=True)
class Phase:
    """Of one kind: milliseconds of each cancellation, round by round, and the steps a second that were offered."""

    rounds: list[list[float]] = field(default_factory=list[list[float]])
    offered_per_s: list[float] = field(default_factory=list[float])

    def p_ms(self, share: float) -> float:
        """Over all rounds."""
        return percentile(list(chain.from_iterable(self.rounds)), share)


def main() -> int:
    """Run, print, append to results_control.csv; 1 when a bound does not hold."""
    parser = argparse.ArgumentParser(prog="bench.control", description=__doc__)
    parser.add_argument("--cancels", type=int, default=60, help="cancellations in each phase of a round")
    parser.add_argument("--rounds", type=int, default=5, help="how often each phase has its turn")
    parser.add_argument("--sync", choices=("default", "always"), default="default", help="when NATS calls fsync")
    parser.add_argument("--quick", action="store_true", help="few of everything, to see that it works; writes nothing")
    given = parser.parse_args()
    cancels, rounds = (10, 2) if given.quick else (given.cancels, given.rounds)
    with tempfile.TemporaryDirectory(prefix="relm-bench-") as name:
        row = asyncio.run(_measured(Path(name), cancels, rounds, given.sync))
    console = Console()
    table = Table("figure", "value", "bound")
    bounds = {
        "loaded_p95_ms": FENCE_P95_MS_MAX, "overload_over_idle": OVER_IDLE_MAX, "over_idle_median": OVER_IDLE_MAX,
        "after_fence": 0, "lost": 0,
    }  # fmt: skip
    for key, value in row.items():
        table.add_row(key, str(value), f"≤ {bounds[key]}" if key in bounds else "")
    console.print(f"{os.cpu_count()} cores, SQLite synchronous=FULL, NATS sync {given.sync}")
    console.print(table)
    if not given.quick:
        append(RESULTS, COLUMNS, row)
    return int(any(float(str(row[key])) > bound for key, bound in bounds.items()))


async def _measured(folder: Path, cancels: int, rounds: int, sync: str) -> dict[str, object]:
    phases, sustained = {name: Phase() for name in SHARES}, list[float]()
    async with _node(folder, sync) as node:
        client = await nats.connect(node["nats_url"])
        load = _Load(client.jetstream(publish_async_max_pending=2 * WINDOW), Path(node["store_path"]))
        # Threads to be cancelled have steps; those of the load come beside them.
        await load.taken([item for place in range(rounds * len(SHARES)) for item in _cancelled(place, cancels)])
        for number in range(rounds):
            sustained.append(await load.taken(workload(100, 60, WARMING + number)))
            for turn in range(len(SHARES)):
                name, place = list(SHARES)[(number + turn) % len(SHARES)], number * len(SHARES) + turn
                rate = sustained[-1] * SHARES[name]
                steps = int(rate * (cancels / PER_SECOND + 2.0))
                work = workload(200, max(1, steps // 200), LOADING + place) if rate else []
                await _rested(node["pids"])
                threads = list(dict.fromkeys(item.thread for item in _cancelled(place, cancels)))
                await _phase(node, phases[name], threads, work, rate)
                await load.decided(len(work))
        await client.close()
        after, lost = _after_fence(load.store), load.published - _outcomes(load.store)
        lane_nice = min(psutil.Process(pid).nice() for pid in node["pids"])
    idle, overload = phases["idle"], phases["overload"]
    pairs = zip(overload.rounds, idle.rounds, strict=True)
    ratios = [percentile(most, 0.95) / percentile(least, 0.95) for most, least in pairs]
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit(),
        "cores": os.cpu_count(),
        "stream_sync": sync,
        "lane_nice": lane_nice,
        "cancels": cancels * rounds,
        "rounds": rounds,
        "sustained_per_s": round(mean(sustained)),
        "loaded_per_s": round(mean(phases["loaded"].offered_per_s)),
        "overload_per_s": round(mean(overload.offered_per_s)),
        **{
            f"{name}_p{share}_ms": round(phase.p_ms(share / 100), 1)
            for name, phase in phases.items()
            for share in (50, 95)
        },
        "overload_over_idle": round(overload.p_ms(0.95) / idle.p_ms(0.95), 2),
        "over_idle_min": round(min(ratios), 2),
        "over_idle_median": round(median(ratios), 2),
        "over_idle_max": round(max(ratios), 2),
        "after_fence": after,
        "lost": lost,
    }


@dataclass(slots=True)
class _Load:
    """What is published besides, and how much of it there was."""

    stream: JetStreamContext
    store: Path
    published: int = 0

    async def taken(self, work: list[Work]) -> float:
        """Publish `work` as fast as the stream takes it, and wait until it is decided: steps a second."""
        started = time.perf_counter()
        await flood(self.stream, STEP_SUBJECT, work)
        await self.decided(len(work))
        return len(work) / (time.perf_counter() - started)

    async def decided(self, more: int) -> None:
        """Wait until `more` steps than before have outcomes."""
        self.published += more
        deadline = time.monotonic() + DECIDED_SECONDS_MAX
        while (done := _outcomes(self.store)) < self.published:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{done} of {self.published} steps were decided")
            await asyncio.sleep(0.1)


def _cancelled(place: int, cancels: int) -> list[Work]:
    return workload(cancels, 3, CANCELLED + place)


async def _phase(node: dict[str, Any], phase: Phase, threads: list[str], work: list[Work], rate: float) -> None:
    """Cancel `threads` at a steady rate while `work`, if there is any, is published at `rate` steps a second."""
    if not work:
        phase.rounds.append(await _cancels(node["control_url"], threads))
        return
    publishing = await _started("bench.control_load")
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
    phase.rounds.append(await _cancels(node["control_url"], threads))
    seconds = json.loads(await publishing.stdout.readline())
    await publishing.wait()
    phase.offered_per_s.append(len(work) / seconds)


async def _cancels(url: str, threads: list[str]) -> list[float]:
    """Milliseconds of each cancellation, by a process of its own."""
    client = await _started("bench.control_client")
    told = {"url": url, "threads": threads, "per_second": PER_SECOND}
    taken, _ = await client.communicate(json.dumps(told).encode())
    return json.loads(taken)


async def _started(module: str, *arguments: str) -> Process:
    """In a session of its own, as whoever runs a node, publishes or cancels has one: Linux weighs them as such."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )


@contextlib.asynccontextmanager
async def _node(folder: Path, sync: str) -> AsyncIterator[dict[str, Any]]:
    process = await _started("bench.control_node", str(folder), sync)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield json.loads(await process.stdout.readline())
    finally:
        process.stdin.close()
        await process.stdout.read()
        await process.wait()


async def _rested(pids: list[int]) -> None:
    """Wait until the node does next to nothing, and the disk: after its last decision it still tells of it, and what it
    wrote is on its way.
    """
    deadline = time.monotonic() + DECIDED_SECONDS_MAX
    before = read(pids)
    while True:
        await asyncio.sleep(RESTED_SECONDS)
        now = read(pids)
        spent, before = now - before, now
        if spent.cpu_seconds < RESTED_SHARE * spent.wall_seconds:
            await asyncio.to_thread(os.sync)
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"the node still works {spent.cpu_seconds / spent.wall_seconds:.0%} of the time")


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
