"""`python -m bench`: what a step costs, beside what any exactly-once consumer has to pay in the same run."""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from bench.gate3 import admission_microseconds
from bench.gate3_fibers import fiber_times
from bench.results import append, commit
from bench.runs import Cost, floor, latencies, path
from bench.workload import Work, independent_neighbours, workload

RESULTS = Path(__file__).with_name("results.csv")
RATIO_MAX = 5.0
LENGTH_RATIO_MAX = 1.5
GATE3_RATIO_MAX = 1.5
GATE3_BOUNDS = {"gate3_share": 0.25, "points_ratio": 10.0, "tables_ms": 250.0, "seen_us": 30.0, "asked_again": 0.0}
COLUMNS = (
    "date", "commit", "cores", "stream_sync", "threads", "per_thread", "steps_per_s", "cpu_s_per_1k",
    "floor_steps_per_s", "floor_cpu_s_per_1k", "ratio", "p50_ms", "p99_ms",
    "length_ratio", "gate3_ratio", "gate3_growth", "gate3_share", "points_ratio", "points_ms", "tables_ms", "numpy_ms",
    "seen_us", "asked_again",
)  # fmt: skip


def main() -> int:
    """Run, print, append to results.csv; 1 when a bound does not hold."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="pairs of floor and path; the median counts")
    parser.add_argument("--sync", choices=("default", "always"), default="default", help="when NATS calls fsync")
    parser.add_argument("--quick", action="store_true", help="one small pair, to see that it works; writes nothing")
    given = parser.parse_args()
    console = Console()
    work = workload(*((20, 20) if given.quick else (100, 100)))
    console.print(_about(work, given.sync))
    pairs = [_pair(work, given.sync) for _ in range(1 if given.quick else given.runs)]
    floor_cpu, path_cpu = (median(cost[side].cpu_s_per_1k for cost in pairs) for side in (0, 1))
    ratio = median(there.cpu_s_per_1k / base.cpu_s_per_1k for base, there in pairs)
    length_ratio = _length_ratio(given.sync, console, quick=given.quick)
    gate3 = admission_microseconds(sizes=(5, 50, 200))
    gate3_ratio, gate3_growth = gate3[200] / gate3[5], gate3[200] / gate3[50]
    fibers = fiber_times()
    p50, p99 = _latency(given.sync, quick=given.quick)
    row = {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit(),
        "cores": os.cpu_count(),
        "stream_sync": given.sync,
        "threads": 100,
        "per_thread": 100,
        "steps_per_s": round(median(cost.steps_per_s for _, cost in pairs)),
        "cpu_s_per_1k": round(path_cpu, 3),
        "floor_steps_per_s": round(median(cost.steps_per_s for cost, _ in pairs)),
        "floor_cpu_s_per_1k": round(floor_cpu, 3),
        "ratio": round(ratio, 2),
        "p50_ms": round(p50, 1),
        "p99_ms": round(p99, 1),
        "length_ratio": round(length_ratio, 2),
        "gate3_ratio": round(gate3_ratio, 2),
        "gate3_growth": round(gate3_growth, 2),
        "gate3_share": round(median(there.gate3_cpu_seconds / there.cpu_seconds for _, there in pairs), 3),
        "points_ratio": _rounded(fibers.points_ratio),
        "points_ms": round(fibers.points_ms, 2),
        "tables_ms": round(fibers.tables_ms, 1),
        "numpy_ms": _rounded(fibers.numpy_ms),
        "seen_us": round(fibers.seen_us, 2),
        "asked_again": fibers.asked_again,
    }
    console.print(_table(row, gate3))
    if not given.quick:
        append(RESULTS, COLUMNS, row)
    broken = [
        name for name, bound in GATE3_BOUNDS.items() if isinstance(found := row[name], int | float) and found > bound
    ]
    if fibers.numpy_ms is None:
        console.print("numpy is missing: points_ratio was not measured")
    holds = (
        ratio <= RATIO_MAX and length_ratio <= LENGTH_RATIO_MAX and max(gate3_ratio, gate3_growth) <= GATE3_RATIO_MAX
    )
    return int(not holds or bool(broken) or fibers.numpy_ms is None)


def _rounded(value: float | None) -> float | str:
    """For the table and the file; empty when it was not measured."""
    return "" if value is None else round(value, 2)


def _pair(work: list[Work], sync: str) -> tuple[Cost, Cost]:
    with tempfile.TemporaryDirectory(prefix="relm-bench-") as name:
        folder = Path(name)
        for part in ("floor", "path"):
            (folder / part).mkdir()
        base = asyncio.run(floor(folder / "floor", work, sync))
        return base, asyncio.run(path(folder / "path", work, sync))


def _length_ratio(sync: str, console: Console, *, quick: bool) -> float:
    """CPU per step of one long thread over that of many short ones."""
    costs: dict[int, float] = {}
    for threads, per_thread in ((20, 10), (1, 200)) if quick else ((1000, 10), (100, 100), (10, 1000), (1, 10_000)):
        with tempfile.TemporaryDirectory(prefix="relm-bench-") as name:
            cost = asyncio.run(path(Path(name), workload(threads, per_thread, seed=2), sync))
        costs[per_thread] = cost.cpu_s_per_1k
        console.print(f"  {threads:5} threads of {per_thread:6} steps: {cost.cpu_s_per_1k:.3f} CPU-s per 1,000 steps")
    return max(costs.values()) / costs[10]


def _latency(sync: str, *, quick: bool) -> tuple[float, float]:
    with tempfile.TemporaryDirectory(prefix="relm-bench-") as name:
        return asyncio.run(latencies(Path(name), workload(100, 1 if quick else 10, seed=3), 50, sync))


def _about(work: list[Work], sync: str) -> str:
    size = sum(len(item.body) for item in work) / len(work)
    contests = sum(item.step.startswith("undo_") for item in work) / len(work)
    refused = sum(item.expected != "committed" for item in work) / len(work)
    return (
        f"workload W: {len(work)} steps of {size:.0f} B, {contests:.0%} contests, {refused:.1%} refused, "
        f"{independent_neighbours(work):.0%} of neighbours independent; {os.cpu_count()} cores, "
        f"SQLite synchronous=FULL, NATS sync {sync}"
    )


def _table(row: dict[str, object], gate3: dict[int, float]) -> Table:
    table = Table("figure", "value", "bound")
    bounds = {
        "ratio": RATIO_MAX,
        "length_ratio": LENGTH_RATIO_MAX,
        "gate3_ratio": GATE3_RATIO_MAX,
        "gate3_growth": GATE3_RATIO_MAX,
        **GATE3_BOUNDS,
    }
    for name, value in row.items():
        bound = bounds.get(name)
        table.add_row(name, str(value), "" if bound is None else f"≤ {bound}")
    for size, microseconds in gate3.items():
        table.add_row(f"gate 3, {size} steps of a thread", f"{microseconds:.0f} µs per step", "")
    return table


if __name__ == "__main__":
    raise SystemExit(main())
