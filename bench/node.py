"""A node on workload W's machine as a process of its own: `python -m bench.node FOLDER SYNC`, until stdin closes.

Prints one JSON line when it is ready: `nats_url`, `store_path`, `pids`; and one at its end: `gate3_cpu_seconds`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import uvloop

from bench.gate3_share import Gate3Clock
from bench.machine import GRANTED, machine
from relmachine.node import Node, Settings
from relmachine.node.memory import settle


def write_grants(folder: Path) -> Path:
    """Write the grants of workload W; returns their path."""
    grants = folder / "grants.json"
    grant = {
        "principals": list(GRANTED),
        "machines": ["w"],
        "threads": ["*"],
        "steps": ["*"],
        "sizes": ["small", "medium", "large"],
        "rates": ["normal"],
    }
    grants.write_text(json.dumps({"grants": [grant]}))
    return grants


async def serve(folder: Path, sync: str) -> None:
    """Run the node until stdin closes."""
    settings = Settings(data_dir=folder / "data", grants=write_grants(folder), stream_sync=sync, http=False)  # type: ignore[arg-type]
    gate3 = Gate3Clock()
    async with Node.running(machine(), settings) as node:
        settle()
        context = node.context(running=True)
        print(
            json.dumps({"nats_url": context.nats_url, "store_path": str(context.store_path), "pids": node.pids()}),
            flush=True,
        )
        await asyncio.to_thread(sys.stdin.read)
    print(json.dumps({"gate3_cpu_seconds": gate3.seconds}), flush=True)


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1]), sys.argv[2]))
