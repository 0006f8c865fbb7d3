"""Goal: any process may die at any time; nothing is lost and nothing happens twice. Method: seeded kill -9 of node,
nats-server and publisher while the permit log goes through; the figures by SQL afterwards, every id recomputed."""

from __future__ import annotations

import asyncio
import random
from itertools import pairwise
from pathlib import Path

import pytest

from relmachine.store import reading
from relmachine.store.sqlite import open_reading
from relmachine.store.verify import verify
from tests import permit
from tests.chaos.processes import Cluster, wait_until

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(600)]

KILLS_PER_RUN = 5
STEPS = 8577


@pytest.mark.parametrize("seed", range(4))
def test_figures_hold_whatever_is_killed(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    # Every process dies at least once per run, each at a random place of the replay.
    targets = ["node", "nats", "publisher", *rng.choices(["node", "nats", "publisher"], k=KILLS_PER_RUN - 3)]
    rng.shuffle(targets)
    # One place in each equal share of the log, so that the kills are spread over the whole replay.
    share = STEPS // (KILLS_PER_RUN + 1)
    places = [share * number + rng.randrange(share) for number in range(KILLS_PER_RUN)]
    cluster = Cluster(tmp_path)
    killed: list[tuple[str, int]] = []
    try:
        cluster.revive()
        for target, place in zip(targets, places, strict=True):
            wait_until(lambda place=place: cluster.decided() > place or _revived(cluster), f"{place} steps")
            killed.append((target, cluster.decided()))
            cluster.kill(target)
            cluster.revive()
        publisher = cluster.publisher
        assert publisher is not None
        while publisher.wait(300) != 0:
            cluster.revive()
            publisher = cluster.publisher
    finally:
        cluster.close()
    steps = [0, *(decided for _, decided in killed), STEPS]
    assert all(before < after for before, after in pairwise(steps)), (
        f"a kill outside of progress: seed {seed}, {killed}"
    )
    asyncio.run(_check(tmp_path / "data" / "store.db", f"seed {seed}: {killed}"))


def _revived(cluster: Cluster) -> bool:
    """Start again what ended by itself, such as a publisher that lost its stream; never enough."""
    cluster.revive()
    return False


async def _check(store: Path, context: str) -> None:
    read = open_reading(store)
    try:
        found = await reading.figures(read)
        wrong = {name: found.get(name) for name, value in permit.expected().items() if found.get(name) != value}
        assert wrong == {}, context
        report = await verify(read)
        assert report.ok, f"{context}: {report}"
    finally:
        await read.close()
