"""The rounds of `bench.control`: in each, threads are cancelled while the node has nothing else to do, under load, and
under more than it sustains.

Which phase comes first changes from round to round, through all orders: a machine is faster at one time and slower at
another, and each phase is to meet both, and each of the others before it. What the node sustains is measured at the
beginning of each round. Load is published to NATS by a process of its own, as agents do it; steps of the threads that
are cancelled are among it, so that some come after the fence.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from itertools import cycle, islice, permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nats
import psutil

from bench.control_store import after_fence, kept_out
from bench.control_work import Load, rested
from bench.publishing import WINDOW
from bench.workload import Work, workload

if TYPE_CHECKING:
    from asyncio.subprocess import Process

LOADED_SHARE = 0.5
"""Of what the node sustains: the load of workload W under which cancellations are timed."""

OVERLOAD = 5.0
PER_SECOND = 20.0
"""Cancellations a second."""

CANCELLED = 1_000
LOADING = 2_000
WARMING = 4_000
"""Where the names of threads begin that are cancelled, that are the load, and that the node is measured with: a number
for each phase, or round."""

STEPS_BEFORE, STEPS_BESIDE = 3, 12
"""Of each thread that is cancelled: steps before its phase, and during it where there is load."""

_LANE = "relmachine.node.lane_child"
SHARES = {"idle": 0.0, "loaded": LOADED_SHARE, "overload": OVERLOAD}
"""The phases of a round, and of what the node sustains how much is offered meanwhile."""


@dataclass(slots=True)
class Phase:
    """Of one kind: milliseconds of each cancellation, round by round, and the steps a second that were offered."""

    rounds: list[list[float]] = field(default_factory=list[list[float]])
    offered_per_s: list[float] = field(default_factory=list[float])


@dataclass(slots=True)
class Figures:
    """What was measured: `kept_out` steps came after a fence and were refused, `lost` have no outcome."""

    phases: dict[str, Phase]
    sustained_per_s: list[float] = field(default_factory=list[float])
    lane_nice: int = 0
    lane_policies: set[str] = field(default_factory=set[str])
    after_fence: int = 0
    kept_out: int = 0
    lost: int = 0


async def measured(folder: Path, cancels: int, rounds: int, sync: str) -> Figures:
    """`rounds` rounds on a node in `folder`, `cancels` cancellations in each phase."""
    figures = Figures({name: Phase() for name in SHARES})
    async with _node(folder, sync) as node:
        lane = next(p for p in map(psutil.Process, node["pids"]) if _LANE in p.cmdline())
        client = await nats.connect(node["nats_url"])
        load = Load(client.jetstream(publish_async_max_pending=2 * WINDOW), Path(node["store_path"]))
        for place in range(rounds * len(SHARES)):
            await load.taken(workload(cancels, STEPS_BEFORE, CANCELLED + place))
        for number, order in enumerate(islice(cycle(permutations(SHARES)), rounds)):
            await rested(node["pids"])
            figures.sustained_per_s.append(await load.taken(workload(100, 60, WARMING + number)))
            for turn, name in enumerate(order):
                place, rate = number * len(SHARES) + turn, figures.sustained_per_s[-1] * SHARES[name]
                work = _mixed(place, cancels, rate) if rate else []
                await _phase(
                    node, figures.phases[name], [f"{CANCELLED + place}-{n}" for n in range(cancels)], work, rate
                )
                figures.lane_policies.add(_policy(lane.pid))
                figures.lost += await load.decided(work)
        await client.close()
        figures.after_fence, figures.kept_out = after_fence(load.store), kept_out(load.store)
        figures.lane_nice = lane.nice()
    assert figures.kept_out, "no step came after a fence: nothing was tried"
    return figures


def _policy(pid: int) -> str:
    return "rr" if sys.platform == "linux" and os.sched_getscheduler(pid) == os.SCHED_RR else "other"


def _mixed(place: int, cancels: int, rate: float) -> list[Work]:
    """What is published during a phase of load: steps of other threads, and evenly among them those of the threads that
    are cancelled.
    """
    steps = int(rate * (cancels / PER_SECOND + 2.0))
    others = workload(200, max(1, steps // 200), LOADING + place)
    beside = workload(cancels, STEPS_BEFORE + STEPS_BESIDE, CANCELLED + place)[cancels * STEPS_BEFORE :]
    placed = [(index / len(others), item) for index, item in enumerate(others)]
    placed += [(index / len(beside), item) for index, item in enumerate(beside)]
    return [item for _, item in sorted(placed, key=lambda one: one[0])]


async def _phase(node: dict[str, Any], phase: Phase, threads: list[str], work: list[Work], rate: float) -> None:
    """Cancel `threads` at a steady rate while `work`, if there is any, is published at `rate` steps a second."""
    told = {"url": node["control_url"], "threads": threads, "per_second": PER_SECOND}
    async with _started("bench.control_client") as client:
        await _said(client, told)
        await rested(node["pids"])
        if not work:
            phase.rounds.append(await _said(client, "go"))
            return
        items = [[item.thread, item.step, item.body.decode()] for item in work]
        async with _started("bench.control_load") as publishing:
            await _said(publishing, {"url": node["nats_url"], "rate": rate, "work": items})
            await asyncio.sleep(1.0)  # the load is what is measured under: it has to be there
            ended = asyncio.create_task(_heard(publishing))
            phase.rounds.append(await _said(client, "go"))
            if ended.done():
                raise RuntimeError("the load ended before the cancellations: they were timed under nothing")
            phase.offered_per_s.append(len(work) / await ended)


@contextlib.asynccontextmanager
async def _node(folder: Path, sync: str) -> AsyncGenerator[dict[str, Any]]:
    async with _started("bench.control_node", str(folder), sync) as process:
        yield await _heard(process)


@contextlib.asynccontextmanager
async def _started(module: str, *arguments: str) -> AsyncGenerator[Process]:
    """In a session of its own, as whoever runs a node, publishes or cancels has one: Linux weighs them as such. It is
    waited for; a node ends with its input, the others when they are done.
    """
    command = [sys.executable, "-m", module, *arguments]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command, stdin=pipe, stdout=pipe, start_new_session=True, limit=2**24
    )
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.communicate()


async def _said(process: Process, told: object) -> Any:
    """Say a line; what is answered."""
    assert process.stdin is not None
    process.stdin.write(json.dumps(told).encode() + b"\n")
    await process.stdin.drain()
    return await _heard(process)


async def _heard(process: Process) -> Any:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise RuntimeError("a process of the benchmark ended: its error is above")
    return json.loads(line)
