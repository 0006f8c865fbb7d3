"""Goal: a thread that is alive on two nodes at once settles every step once, because the fence in the store refuses the
one that comes too late. Method: freeze a node in the middle of its turns until the others have taken its threads on,
let it go on with what it had in hand, and count what the fence refused; then everything is compared with an embedded
node's store row by row.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from relmachine.cluster.kind import Kind
from relmachine.store.verify import verify
from tests.cluster.contents import check_feeds, check_same, check_settled_once
from tests.cluster.long_threads import bursts
from tests.cluster.small import kill
from tests.cluster.whole import Whole, alone, embedded, until, whole

pytestmark = [pytest.mark.process, pytest.mark.whole_cluster, pytest.mark.slow, pytest.mark.timeout(900)]

ROUNDS = int(os.environ.get("RELM_ROUNDS", "20"))
REFUSED_PER_ROUND_MIN = 10
THREADS = 60

SHORT = {
    "RELM_DAPR_BOUNDS": {"call_seconds_max": 1.0, "turn_seconds_max": 0.8},
    "RELM_STREAM_BOUNDS": {"ack_wait_seconds": 1.5, "pull_expires_seconds": 1.0},
    "RELM_LIMITS": {"threads_per_round_max": 1, "rounds_in_flight_max": 4},
}
"""Time-outs that a freeze outlasts soon, and rounds of one thread: what the fence refuses is one thread's commit."""


def test_a_node_that_was_frozen_past_every_time_out_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = list(itertools.islice(bursts(THREADS), 3 * ROUNDS))

    async def test() -> None:
        one_node = await embedded(tmp_path / "one", [step for burst in load for step in burst])
        for name, value in SHORT.items():
            monkeypatch.setenv(name, json.dumps(value))
        async with whole(tmp_path / "three") as run:
            nodes = [process.name for process in run.of(Kind.NODE)]
            for number in range(ROUNDS):
                before, began = await run.refused_by_the_fence(), time.monotonic()
                frozen = await _frozen_while_others_go_on(
                    run, nodes[number % len(nodes)], load[3 * number : 3 * number + 3]
                )
                refused = await run.refused_by_the_fence() - before
                print(
                    f"round {number + 1}: frozen for {frozen:.1f} s of {time.monotonic() - began:.1f} s, "
                    f"{refused} commits refused",
                    flush=True,
                )
            found = await run.resting()
            refused = await run.refused_by_the_fence()
            check_settled_once(found, run.acknowledged)
            check_same(found, one_node)
            assert await check_feeds(run.feeds, found) == THREADS * 3 * ROUNDS
            assert (await verify(run.store)).ok
            print(f"{ROUNDS} rounds: {refused} stale commits refused by the fence, none accepted")
            assert refused >= REFUSED_PER_ROUND_MIN * ROUNDS

    with alone():
        asyncio.run(test())


async def _frozen_while_others_go_on(run: Whole, victim: str, three: Sequence[Sequence]) -> float:
    """Freeze in the middle of the first burst, go on after the others have decided all of it and of the second; the
    third comes when both are awake. Returns the seconds that the node was frozen."""
    first, second, third = three
    decided = len(run.acknowledged)
    await run.publish(first)

    async def under_way() -> bool:
        return await run.decided() > decided

    await until(under_way, "the first turns of the burst")
    pid = run.cluster.pids[victim]
    kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    try:
        await run.publish(second)
        await run.until_decided()
    finally:
        kill(pid, signal.SIGCONT)
    frozen = time.monotonic() - began
    await run.publish(third)
    await run.until_decided()
    return frozen
