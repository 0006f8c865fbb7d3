"""Goal: a durable run outlives whatever carries it out, and ends once. Method: real nodes with sidecars, a model that
waits for a file and writes down who asks it; kill -9 of the node that asks, of its sidecar, and of every node in turn
under fifty runs; then what was asked, the events, and the whole store verified."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

import pytest

from relmachine.cluster.state import ProcessState
from relmachine.store.verify import verify
from tests.cluster.durable import KINDS, Durable, durable
from tests.cluster.small import kill
from tests.cluster.whole import alone, until

pytestmark = [pytest.mark.process, pytest.mark.whole_cluster, pytest.mark.slow, pytest.mark.timeout(600)]

SECONDS_MAX = 15.0
WAITING = 30
"""Of many runs: one node alone asks no more at the same time."""

MANY = [f"many-{number}" for number in range(50)]


def test_a_durable_run_outlives_whoever_carries_it_out(tmp_path: Path) -> None:
    async def test() -> None:
        async with durable(tmp_path) as run:
            await _killed_node(run)
            await _killed_sidecar(run)
            await _rolling(run)
            assert await run.events() == dict.fromkeys(["node", "sidecar", *MANY], 1)
            report = await verify(run.store)
            assert report.ok, report.fault

    with alone(KINDS):
        asyncio.run(test())


async def _killed_node(run: Durable) -> None:
    """The run goes on in another node, with what was decided before."""
    await run.request(["node"])
    await run.until_waiting(["node"])
    ((pid, _),) = run.asked("second", ["node"])
    others = set(run.nodes()) - {pid}
    began = time.monotonic()
    kill(pid, signal.SIGKILL)
    await run.until_waiting(["node"], others)
    print(f"node killed: its run goes on elsewhere after {time.monotonic() - began:.1f} s")
    assert time.monotonic() - began <= SECONDS_MAX
    assert len(run.asked("first", ["node"])) == 1, "what was decided before is not asked again"
    await _released(run, ["node"])
    await run.cluster.ready(next(one.name for one in run.cluster.state.processes if one.kind == "node"))


async def _killed_sidecar(run: Durable) -> None:
    """The run ends although the sidecar that gave it, and perhaps knew of its workflow, is gone."""
    run.hold()
    await until_nodes(run, 3)
    await run.request(["sidecar"])
    await run.until_waiting(["sidecar"])
    ((pid, _),) = run.asked("second", ["sidecar"])
    sidecar = run.beside(run.nodes()[pid])
    assert sidecar.pid is not None
    kill(sidecar.pid, signal.SIGKILL)
    await _released(run, ["sidecar"])
    assert len(run.asked("first", ["sidecar"])) == 1
    print(f"sidecar killed: its run was asked {len(run.asked('second', ['sidecar']))} times")


async def _rolling(run: Durable) -> None:
    """Every run ends while one node after the other is killed, or ended, and comes back."""
    run.hold()
    await until_nodes(run, 3)
    began = time.monotonic()
    await run.request(MANY)
    await run.until_asked(MANY, WAITING)
    print(f"{WAITING} runs of {len(MANY)} wait for their model after {time.monotonic() - began:.1f} s")
    signals = (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL)
    for (pid, node), number in zip(run.nodes().items(), signals, strict=True):
        restarts, began = node.restarts, time.monotonic()
        kill(pid, number)

        async def restarted(node: ProcessState = node, restarts: int = restarts) -> bool:
            return node.restarts > restarts

        await until(restarted, f"{node.name} to come back")
        await run.cluster.ready(node.name)
        print(f"{node.name} is back {time.monotonic() - began:.1f} s after {number.name}")
    await _released(run, MANY)
    first, second = len(run.asked("first", MANY)), len(run.asked("second", MANY))
    print(f"three nodes gone under {len(MANY)} runs: asked {first} times before and {second} times after the tool")


async def until_nodes(run: Durable, count: int) -> None:
    async def there() -> bool:
        return len(run.nodes()) == count

    await until(there, f"{count} nodes")


async def _released(run: Durable, threads: list[str]) -> None:
    began = time.monotonic()
    run.release()
    await run.until_ended(threads)
    print(f"{len(threads)} ended {time.monotonic() - began:.1f} s after their model answered", flush=True)
    assert time.monotonic() - began <= SECONDS_MAX
