"""`python -m bench.control`: how soon a cancelled thread is fenced, idle, under workload W, and at five times what the
node sustains; and that nothing comes after the fence, and nothing that was accepted is lost.

Each cancellation is an HTTP request to the node. Its time runs from before the request is sent until the answer, which
comes once the fence is durable in the store.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from statistics import mean, median

from rich.console import Console
from rich.table import Table

from bench.control_rounds import Figures, measured
from bench.meter import percentile
from bench.results import append, commit

RESULTS = Path(__file__).with_name("results_control.csv")
COLUMNS = (
    "date", "commit", "cores", "stream_sync", "lane_nice", "lane_policy", "cancels", "rounds",
    "sustained_per_s", "loaded_per_s", "overload_per_s",
    "idle_p50_ms", "idle_p95_ms", "loaded_p50_ms", "loaded_p95_ms", "overload_p50_ms", "overload_p95_ms",
    "overload_over_idle", "over_idle_min", "over_idle_median", "over_idle_max", "after_fence", "kept_out", "lost",
)  # fmt: skip

FENCE_P95_MS_MAX = 150.0
OVER_IDLE_MAX = 2.0
BOUNDS: Mapping[str, float] = {
    "loaded_p95_ms": FENCE_P95_MS_MAX, "overload_over_idle": OVER_IDLE_MAX, "over_idle_median": OVER_IDLE_MAX,
    "after_fence": 0, "lost": 0,
}  # fmt: skip


def main() -> int:
    """Run, print, append to results_control.csv; 1 when a bound does not hold."""
    parser = argparse.ArgumentParser(prog="bench.control", description=__doc__)
    parser.add_argument("--cancels", type=int, default=60, help="cancellations in each phase of a round")
    parser.add_argument("--rounds", type=int, default=6, help="how often each phase has its turn")
    parser.add_argument("--sync", choices=("default", "always"), default="default", help="when NATS calls fsync")
    parser.add_argument("--quick", action="store_true", help="few of everything, to see that it works; writes nothing")
    given = parser.parse_args()
    cancels, rounds = (10, 2) if given.quick else (given.cancels, given.rounds)
    with tempfile.TemporaryDirectory(prefix="relm-bench-") as name:
        figures = asyncio.run(measured(Path(name), cancels, rounds, given.sync))
    row = {"date": datetime.now(UTC).date().isoformat(), "commit": commit(), "cores": os.cpu_count()}
    row |= {"stream_sync": given.sync, "cancels": cancels * rounds, "rounds": rounds, **_columns(figures)}
    console = Console()
    table = Table("figure", "value", "bound")
    for key in COLUMNS:
        table.add_row(key, str(row[key]), f"≤ {BOUNDS[key]}" if key in BOUNDS else "")
    console.print(f"{os.cpu_count()} cores, SQLite synchronous=FULL, NATS sync {given.sync}")
    console.print(table)
    if not given.quick:
        append(RESULTS, COLUMNS, row)
    return int(any(float(str(row[key])) > bound for key, bound in BOUNDS.items()))


def _columns(figures: Figures) -> dict[str, object]:
    idle, overload = figures.phases["idle"], figures.phases["overload"]
    pairs = zip(overload.rounds, idle.rounds, strict=True)
    ratios = [percentile(most, 0.95) / percentile(least, 0.95) for most, least in pairs]
    times = {name: list(chain.from_iterable(phase.rounds)) for name, phase in figures.phases.items()}
    return {
        "lane_nice": figures.lane_nice,
        "lane_policy": "/".join(sorted(figures.lane_policies)),
        "sustained_per_s": round(mean(figures.sustained_per_s)),
        "loaded_per_s": round(mean(figures.phases["loaded"].offered_per_s)),
        "overload_per_s": round(mean(overload.offered_per_s)),
        **{
            f"{name}_p{share}_ms": round(percentile(taken, share / 100), 1)
            for name, taken in times.items()
            for share in (50, 95)
        },
        "overload_over_idle": round(percentile(times["overload"], 0.95) / percentile(times["idle"], 0.95), 2),
        "over_idle_min": round(min(ratios), 2),
        "over_idle_median": round(median(ratios), 2),
        "over_idle_max": round(max(ratios), 2),
        "after_fence": figures.after_fence,
        "kept_out": figures.kept_out,
        "lost": figures.lost,
    }


if __name__ == "__main__":
    raise SystemExit(main())
