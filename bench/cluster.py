"""`python -m bench.cluster`: settled steps a second on three nodes, what a step costs there, and who spends it."""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

from bench.cluster_meter import KINDS
from bench.cluster_runs import NODES, ClusterCost, Shape, bench
from bench.meter import percentile
from bench.results import append, commit

RESULTS = Path(__file__).with_name("results_cluster.csv")
STEPS_PER_S_MIN = 500.0
"""On three nodes, where NATS calls fsync by default."""

WARM_UP = Shape(threads=50, per_thread=6, seed=11)
REST_SECONDS = 3.0

COLUMNS = (
    "date", "commit", "cores", "nodes", "stream_sync", "threads", "per_thread", "steps_per_s", "per_second", "p50_ms",
    "p99_ms", "cpu_s_per_1k", *(f"{kind.replace(' ', '_')}_cpu_s_per_1k" for kind in KINDS), "cores_at_rest",
    "cores_elsewhere", "turns", "requests_stale",
)  # fmt: skip

Row = dict[str, object]
Sync = Literal["default", "always"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, append to results_cluster.csv; 1 when the bound does not hold."""
    given = _parser().parse_args(arguments)
    console = Console()
    quick = Shape(40, 5, 12)
    flood = quick if given.quick else Shape(given.threads, given.per_thread, 12)
    steady = Shape(20, 5, 13) if given.quick else Shape(100, max(1, round(given.per_second * 20 / 100)), 13)
    syncs: list[Sync] = ["default", "always"] if given.sync == "both" else [given.sync]
    enough = True
    for sync in syncs:
        row = asyncio.run(_measured(sync, flood, steady, given.per_second))
        console.print(_table(row))
        if not given.quick:
            append(RESULTS, COLUMNS, row)
            enough &= sync != "default" or float(str(row["steps_per_s"])) >= STEPS_PER_S_MIN
    return int(not enough)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench.cluster", description=__doc__)
    parser.add_argument("--sync", choices=("both", "default", "always"), default="both", help="when NATS calls fsync")
    parser.add_argument("--threads", type=int, default=1000, help="threads of the flood")
    parser.add_argument("--per-thread", type=int, default=10, help="steps of each")
    parser.add_argument("--per-second", type=float, default=50.0, help="steps a second while latency is measured")
    parser.add_argument("--quick", action="store_true", help="few steps, to see that it works; writes nothing")
    return parser


async def _measured(sync: Sync, flood: Shape, steady: Shape, per_second: float) -> Row:
    with tempfile.TemporaryDirectory(prefix="relm-bench-") as name:
        async with bench(Path(name), sync) as cluster:
            await cluster.flood(WARM_UP)
            at_rest = await cluster.cores_at_rest(REST_SECONDS)
            taken = await cluster.latencies(steady, per_second)
            cost = await cluster.flood(flood)
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit(),
        "cores": os.cpu_count(),
        "nodes": NODES,
        "stream_sync": sync,
        "threads": flood.threads,
        "per_thread": flood.per_thread,
        "steps_per_s": round(cost.steps_per_s),
        "per_second": round(per_second),
        "p50_ms": round(percentile(taken, 0.5) * 1000, 1),
        "p99_ms": round(percentile(taken, 0.99) * 1000, 1),
        "cpu_s_per_1k": round(cost.cpu_s_per_1k, 3),
        **_by_kind(cost),
        "cores_at_rest": round(at_rest, 2),
        "cores_elsewhere": round(cost.cores_elsewhere, 2),
        "turns": cost.turns,
        "requests_stale": cost.refusals,
    }


def _by_kind(cost: ClusterCost) -> Row:
    return {
        f"{kind.replace(' ', '_')}_cpu_s_per_1k": round(seconds / cost.steps * 1000, 3)
        for kind, seconds in cost.cpu_seconds.items()
    }


def _table(row: Row) -> Table:
    title = (
        f"workload W on {row['nodes']} nodes, {row['threads']} threads of {row['per_thread']} steps; {row['cores']} "
        f"cores, rqlite with its fsync, NATS sync {row['stream_sync']}"
    )
    table = Table("figure", "value", "share", "bound", title=title)
    whole = float(str(row["cpu_s_per_1k"]))
    for name, value in row.items():
        part = name.endswith("_cpu_s_per_1k")
        share = f"{float(str(value)) / whole:.0%}" if part else ""
        bound = f"≥ {STEPS_PER_S_MIN:.0f}" if name == "steps_per_s" and row["stream_sync"] == "default" else ""
        table.add_row(name, str(value), share, bound)
    return table


if __name__ == "__main__":
    raise SystemExit(main())
