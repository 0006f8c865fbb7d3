"""Goal: a thread is hosted by another node, or by its own again, whatever dies or freezes beside it. Method: two nodes
as processes with real sidecars, calls for threads of the first through the sidecar of the second, and signals."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from relmachine.errors import RelmError
from relmachine.hosts.dapr_actor import actor_type
from relmachine.hosts.dapr_bounds import DaprBounds
from relmachine.hosts.dapr_client import SidecarCaller
from relmachine.hosts.dapr_outcome import Advanced, decode_outcome, encode_hint
from tests.cluster.dapr_cluster import TOKENS, DaprCluster
from tests.cluster.dapr_node import CURSOR

pytestmark = [pytest.mark.process, pytest.mark.whole_cluster, pytest.mark.slow]

START_SECONDS_MAX = 30.0
GAP_SECONDS_MAX = 15.0
THREADS = [f"t{number}" for number in range(24)]

Scenario = Callable[[DaprCluster, dict[str, SidecarCaller]], Coroutine[object, object, None]]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[DaprCluster]:
    with DaprCluster(tmp_path, "permit") as cluster:
        for name in ("a", "b"):
            cluster.start_sidecar(name)
            cluster.start_node(name)
        yield cluster


@asynccontextmanager
async def callers(cluster: DaprCluster) -> AsyncGenerator[dict[str, SidecarCaller]]:
    """A line to each node's sidecar, once both nodes hold threads."""
    made = {name: caller(cluster, name) for name in cluster.sidecars}
    try:
        async with asyncio.timeout(START_SECONDS_MAX):
            for line in made.values():
                await until_placed(line)
            await until_held(cluster, made["b"], "a", "b")
        yield made
    finally:
        for line in made.values():
            await line.close()


def caller(cluster: DaprCluster, name: str) -> SidecarCaller:
    return SidecarCaller(cluster.sidecars[name].grpc_address, actor_type("permit"), DaprBounds(), TOKENS)


async def until_placed(line: SidecarCaller) -> None:
    while not await line.placed():  # noqa: ASYNC110 - a sidecar tells only when asked
        await asyncio.sleep(0.05)


async def held(cluster: DaprCluster, line: SidecarCaller) -> dict[str, set[str]]:
    """Which node holds which threads now: where one call of each ran."""
    before = {name: len(cluster.threads_of(name)) for name in cluster.sidecars}
    await asyncio.gather(*(answered(line, thread) for thread in THREADS))
    return {name: set(cluster.threads_of(name)[count:]) for name, count in before.items()}


async def until_held(cluster: DaprCluster, line: SidecarCaller, *names: str) -> None:
    """Return when each of the nodes holds a thread."""
    while not all(threads for name, threads in (await held(cluster, line)).items() if name in names):  # noqa: ASYNC110
        await asyncio.sleep(0.1)


async def answered(line: SidecarCaller, thread: str) -> None:
    """Call until the actor answers that its turns ran, as hints come again until they do."""
    while True:
        try:
            if decode_outcome(await line.call(thread, encode_hint(1))) == Advanced(cursor=CURSOR):
                return
        except RelmError:
            await asyncio.sleep(0.1)


async def gap(line: SidecarCaller, threads: Iterable[str], what: str) -> None:
    """All of `threads` are answered again in time."""
    begin = time.monotonic()
    async with asyncio.timeout(GAP_SECONDS_MAX):
        await asyncio.gather(*(answered(line, thread) for thread in threads))
    print(f"{what}: {time.monotonic() - begin:.1f} s without an answer")


def play(cluster: DaprCluster, scenario: Scenario) -> None:
    async def played() -> None:
        async with callers(cluster) as lines:
            await scenario(cluster, lines)

    asyncio.run(played())


def test_the_other_node_takes_the_threads_of_one_that_is_killed_until_it_is_back(cluster: DaprCluster) -> None:
    async def scenario(cluster: DaprCluster, lines: dict[str, SidecarCaller]) -> None:
        moving = (await held(cluster, lines["b"]))["a"]
        assert moving
        cluster.kill("node a")
        await gap(lines["b"], moving, "node killed")
        assert moving <= (await held(cluster, lines["b"]))["b"]
        cluster.start_node("a")
        async with asyncio.timeout(START_SECONDS_MAX):
            await until_placed(lines["a"])
            await until_held(cluster, lines["a"], "a")

    play(cluster, scenario)


def test_the_other_node_takes_the_threads_of_one_that_is_frozen_and_gives_them_back(cluster: DaprCluster) -> None:
    async def scenario(cluster: DaprCluster, lines: dict[str, SidecarCaller]) -> None:
        moving = (await held(cluster, lines["b"]))["a"]
        assert moving
        cluster.signal("node a", signal.SIGSTOP)
        await gap(lines["b"], moving, "node frozen")
        assert moving <= (await held(cluster, lines["b"]))["b"]
        cluster.signal("node a", signal.SIGCONT)
        async with asyncio.timeout(START_SECONDS_MAX):
            await until_held(cluster, lines["b"], "a")

    play(cluster, scenario)


def test_a_node_whose_sidecar_is_killed_is_placed_again_by_the_next_one(cluster: DaprCluster) -> None:
    async def scenario(cluster: DaprCluster, lines: dict[str, SidecarCaller]) -> None:
        moving = (await held(cluster, lines["b"]))["a"]
        assert moving
        cluster.kill("sidecar a")
        await gap(lines["b"], moving, "sidecar killed")
        cluster.start_sidecar("a")
        async with asyncio.timeout(START_SECONDS_MAX):
            await until_placed(lines["a"])
            await until_held(cluster, lines["a"], "a")

    play(cluster, scenario)


def test_calls_wait_while_placement_is_away(cluster: DaprCluster) -> None:
    async def scenario(cluster: DaprCluster, lines: dict[str, SidecarCaller]) -> None:
        cluster.kill("placement")
        cluster.start_placement()
        await gap(lines["b"], THREADS, "placement killed and started")

    play(cluster, scenario)


def test_a_node_that_ends_in_order_costs_a_thread_no_more_than_the_call_on_its_way(cluster: DaprCluster) -> None:
    async def scenario(cluster: DaprCluster, lines: dict[str, SidecarCaller]) -> None:
        assert (await held(cluster, lines["b"]))["a"]
        failed: Counter[str] = Counter()
        ended = asyncio.Event()

        async def calling(thread: str) -> None:
            while not ended.is_set():
                try:
                    assert decode_outcome(await lines["b"].call(thread, encode_hint(1))) == Advanced(cursor=CURSOR)
                except RelmError:
                    failed[thread] += 1
                await asyncio.sleep(0.01)

        calls = [asyncio.create_task(calling(thread)) for thread in THREADS]
        await asyncio.to_thread(cluster.end, "node a")
        ended.set()
        await asyncio.gather(*calls)
        assert cluster.processes["node a"].returncode == 0
        assert max(failed.values(), default=0) <= 1
        assert set(THREADS) <= (await held(cluster, lines["b"]))["b"]

    play(cluster, scenario)
