"""A node on workload W's machine with HTTP, for `bench.control`: `python -m bench.control_node FOLDER SYNC`, until its
input ends. Prints one JSON line when it is ready: `nats_url`, `http_url`, `control_url`, `store_path`, `pids`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import uvloop

from bench.machine import machine
from bench.node import write_grants
from relmachine.node import Node, Settings
from relmachine.node.memory import settle


async def serve(folder: Path, sync: str) -> None:
    """Run the node until stdin closes."""
    grants = write_grants(folder)
    settings = Settings(control_lane="process", data_dir=folder / "data", grants=grants, stream_sync=sync, http_port=0)  # type: ignore[arg-type]
    async with Node.running(machine(), settings) as node:
        settle()
        context = node.context(running=True)
        told = {
            "nats_url": context.nats_url,
            "http_url": context.http_url,
            "control_url": context.control_url,
            "store_path": str(context.store_path),
            "pids": node.pids(),
        }
        print(json.dumps(told), flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1]), sys.argv[2]))
