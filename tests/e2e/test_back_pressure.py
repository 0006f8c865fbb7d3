"""Goal: while the store is away a node's memory stays bounded, publishers are told to wait, nothing is lost, and after
it is back everything that was accepted is decided once. Method: a node process on a real rqlite server that is frozen
with SIGSTOP; far more bytes than the node may hold go past its door straight to NATS; its memory is read from /proc."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from relmachine.kernel.limits import Limits
from relmachine.machine.loader import load
from relmachine.store import reading
from relmachine.store.rqlite.store import open_reading
from relmachine.stream.port import Outgoing
from relmachine.stream.publisher import NatsPublisher
from relmachine.stream.topology import topology
from tests.contract.rqlite_servers import RqliteServer, RqliteServers

pytestmark = [pytest.mark.process, pytest.mark.slow]

SECONDS_MAX = 180.0
MIB = 1024 * 1024
MACHINE = """
machine: flood
version: "1"
steps:
  say:
    kind: process
    payload: {text: string}
"""
UNDECIDED_MAX = 40
LIMITS = {
    "undecided_steps_max": UNDECIDED_MAX,
    "early_look_seconds_max": 0.05,
    "payload_bytes_per_turn_max": MIB,
    "payload_bytes_per_round_max": 4 * MIB,
}
STREAM_BOUNDS = {"tail_bytes_max": 8 * MIB, "fetch_bytes_max": 4 * MIB}
FLOOD_STEPS, FLOOD_BYTES = 800, 120_000
GROWTH_BYTES_MAX = 60 * MIB
"""Well below the flood. What it is made of: the tail, what a fetch brings, two rounds in several forms."""


@dataclass
class Process:
    """A node of its own process."""

    pid: int
    nats: str
    client: httpx.AsyncClient
    store: RqliteServer

    def memory(self, name: str) -> int:
        """`VmRSS`, resident bytes, or `VmHWM`, the most there ever were. Source: proc(5)."""
        found = re.search(rf"^{name}:\s+(\d+) kB$", Path(f"/proc/{self.pid}/status").read_text(), re.MULTILINE)
        assert found is not None
        return int(found[1]) * 1024

    async def lag(self, **parameters: object) -> dict[str, Any]:
        answer = await self.client.get("/lag", params=parameters)  # type: ignore[arg-type]
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def publish(self, number: int, **parameters: str) -> httpx.Response:
        event = {"specversion": "1.0", "source": "door", "id": str(number), "type": "say", "data": {"text": "x"}}
        return await self.client.post(f"/threads/door-{number % 4}/steps", params=parameters, json=event)


@contextlib.contextmanager
def node(folder: Path) -> Iterator[tuple[int, dict[str, str], RqliteServer]]:
    servers = RqliteServers(folder / "rqlite", 1).start()
    (folder / "flood.yaml").write_text(MACHINE)
    variables = {
        "RELM_STORE_URLS": servers.urls[0],
        "RELM_LIMITS": json.dumps(LIMITS),
        "RELM_STREAM_BOUNDS": json.dumps(STREAM_BOUNDS),
    }
    command = [sys.executable, "-m", "relmachine", "dev", str(folder / "flood.yaml"), "--json", "--port", "0"]
    try:
        with (folder / "node.log").open("wb") as log:
            process = subprocess.Popen(
                [*command, "--data", str(folder / "data")],
                env={**os.environ, **variables},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert process.stdout is not None
        with process:
            try:
                text = ""
                for line in process.stdout:
                    text += line
                    if line == "}\n":
                        break
                assert text, (folder / "node.log").read_text()
                yield process.pid, json.loads(text)["addresses"], servers.servers[0]
            finally:
                servers.servers[0].send(signal.SIGCONT)
                process.terminate()
    finally:
        servers.end()


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    end = time.monotonic() + SECONDS_MAX
    while not await condition():
        assert time.monotonic() < end, f"waited {SECONDS_MAX:g} s for {what}"
        await asyncio.sleep(0.1)


def test_a_frozen_store_costs_time_and_nothing_else(tmp_path: Path) -> None:
    async def work(pid: int, addresses: dict[str, str], store: RqliteServer) -> None:
        async with httpx.AsyncClient(base_url=addresses["HTTP API"].removesuffix("/docs"), timeout=60) as client:
            here = Process(pid, addresses["NATS"], client, store)
            for number in range(4):
                assert (await here.publish(number, wait="settled")).status_code == 200
            before = here.memory("VmRSS")
            store.send(signal.SIGSTOP)
            accepted = await door_shuts(here)
            accepted |= await flood(here, tmp_path)
            await everything_is_told(here, len(accepted))
            print(f"while the store is frozen: {(here.memory('VmRSS') - before) / MIB:.0f} MiB more")
            assert here.memory("VmRSS") - before < GROWTH_BYTES_MAX
            store.send(signal.SIGCONT)
            await until(lambda: nothing_waits(here), "everything to be decided")
            print(f"at most: {(here.memory('VmHWM') - before) / MIB:.0f} MiB more")
            assert here.memory("VmHWM") - before < GROWTH_BYTES_MAX
            await each_decided_once(store, accepted)
            assert (await here.publish(10_000, wait="settled")).status_code == 200

    with node(tmp_path) as (pid, addresses, store):
        asyncio.run(work(pid, addresses, store))


async def door_shuts(here: Process) -> set[tuple[str, int]]:
    """Publish through the node until it says `overloaded`; what it accepted before."""
    accepted: set[tuple[str, int]] = set()
    for number in range(10, 10 + 3 * UNDECIDED_MAX):
        answer = await here.publish(number)
        if answer.status_code != 202:
            break
        accepted.add((answer.json()["thread"], answer.json()["sequence"]))
    told = answer.json()
    assert (answer.status_code, told["code"], answer.headers["retry-after"]) == (503, "overloaded", "1"), told
    assert told["witness"]["undecided_steps_max"] == UNDECIDED_MAX
    assert UNDECIDED_MAX - 4 <= len(accepted) <= UNDECIDED_MAX + 4
    several = await asyncio.gather(*(here.publish(number) for number in range(1000, 1050)))
    assert {one.status_code for one in several} == {503}
    assert (await here.lag())["node"]["publishers_deferred"] == 51
    return accepted


async def flood(here: Process, folder: Path) -> set[tuple[str, int]]:
    """Publish past the door, straight to NATS."""
    publisher = await NatsPublisher.start(here.nats, topology(load(folder / "flood.yaml").plan()), Limits())
    data = {"text": "y" * FLOOD_BYTES}
    steps = [
        Outgoing(
            f"raw-{number % 8}",
            "say",
            json.dumps(
                {"specversion": "1.0", "source": "raw", "id": str(number), "type": "say", "data": data}
            ).encode(),
            str(number),
        )
        for number in range(FLOOD_STEPS)
    ]
    try:
        published = await publisher.publish(steps)
    finally:
        await publisher.close()
    return {(step.thread, one.sequence) for step, one in zip(steps, published, strict=True)}


async def everything_is_told(here: Process, accepted: int) -> None:
    """The lag says what waits although the store says nothing, once the node takes no more hints."""
    taken = [0, 1]

    async def full() -> bool:
        taken.append((await here.lag())["node"]["hints"])
        await asyncio.sleep(1.0)  # what a fetch brings takes a moment, and no event says that there is no more
        return taken[-1] == taken[-2] > FLOOD_STEPS // 4

    await until(full, "the node to have taken what it takes")
    told = await here.lag()
    lanes = {lane["lane"]: lane for lane in told["lanes"]}
    assert lanes["steps"]["waiting"] == accepted
    assert lanes["steps"]["oldest_seconds"] > 0
    assert {lanes[name]["waiting"] for name in ("journal", "out", "rejected")} == {None}
    assert len(told["threads"]) == 10
    assert [line["cursor"] for line in told["threads"]] == [None] * 10
    ages = [line["oldest_seconds"] for line in told["threads"]]
    assert ages == sorted(ages, reverse=True)
    assert sum(line["behind"] for line in (await here.lag(limit=20))["threads"]) == accepted


async def nothing_waits(here: Process) -> bool:
    lanes = (await here.lag())["lanes"]
    return all(lane["waiting"] == 0 for lane in lanes)


async def each_decided_once(server: RqliteServer, accepted: set[tuple[str, int]]) -> None:
    store = await open_reading([server.url])
    try:
        rows = (await store.select("SELECT thread, seq FROM thread_events")).rows
        assert len(rows) == len(set(rows)) == len(accepted) + 4
        assert accepted <= set(rows)
        assert (await reading.totals(store)).rejected == 0
    finally:
        await store.close()
