"""Goal: any process of a cluster may be killed in the middle of a replay, and the figures hold. Method: kill -9 of one
process of every kind, one after the other, while the permit log comes in; afterwards the store is compared with an
embedded one row by row and with the feeds message by message. What is measured is the longest time in which nothing was
decided, and the longest time that any one step waited, be it in the hands of the process that was killed.
"""

from __future__ import annotations

import asyncio
import json
import signal
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from relmachine.cluster.kind import Kind
from relmachine.cluster.state import ProcessState
from relmachine.store.verify import verify
from tests import permit
from tests.cluster.contents import check_feeds, check_same, check_settled_once
from tests.cluster.load import Load
from tests.cluster.small import kill
from tests.cluster.whole import Whole, alone, embedded, log, whole
from tests.store_by_hand import ask

pytestmark = [pytest.mark.process, pytest.mark.whole_cluster, pytest.mark.slow, pytest.mark.timeout(900)]

SHARE_SECONDS = 6.0
"""How long the second half of a share of the log takes to come in. The first half comes at once, and a process is
killed while it is worked on; the second half comes while it restarts."""

PAUSE_SECONDS_MAX = 15.0


def test_figures_hold_whatever_is_killed(tmp_path: Path) -> None:
    async def test() -> None:
        steps = log()
        one_node = await embedded(tmp_path / "one", steps)
        share = len(steps) // len(TARGETS)
        async with whole(tmp_path / "three", grants=_by_thread(tmp_path)) as run:
            pauses: dict[str, float] = {}
            waits: dict[str, float] = {}
            async with Load.on(run, steps, share / 2 / SHARE_SECONDS) as load:
                for number, (target, choose) in enumerate(TARGETS.items()):
                    last = number == len(TARGETS) - 1
                    goal = len(steps) if last else share * (number + 1)
                    load.allow(goal, at_once=share * number + share // 2)
                    await load.until_decided(share * number + share // 8)
                    victim = choose(run)
                    began, decided, restarts = time.monotonic(), load.decided, victim.restarts
                    assert victim.pid is not None
                    kill(victim.pid, signal.SIGKILL)
                    await load.until_decided(goal)
                    await run.cluster.ready(victim.name)
                    assert share * number < decided < goal - share // 4, "a kill outside of progress"
                    assert victim.restarts == restarts + 1 and victim.last_exit == "killed by SIGKILL"
                    pauses[target], wait = load.longest_pause(began), load.longest_wait(began)
                    waits[target] = wait
                    print(
                        f"{target} ({victim.name}) killed: {pauses[target]:.1f} s without progress, no step waited "
                        f"longer than {wait:.1f} s",
                        flush=True,
                    )
            found = await run.resting()
            assert {name: found.figures[name] for name in permit.expected()} == permit.expected()
            check_settled_once(found, run.acknowledged)
            check_same(found, one_node)
            assert await check_feeds(run.feeds, found) == len(steps)
            assert (await verify(run.store)).ok
            asked = [len(one.log.read_text().split('"decision_id"')) - 1 for one in run.of(Kind.OPA)]
            assert min(asked) > 1, f"decisions of the policy servers: {asked}"
            assert max(*pauses.values(), *waits.values()) <= PAUSE_SECONDS_MAX, (pauses, waits)

    with alone():
        asyncio.run(test())


def _by_thread(folder: Path) -> Path:
    """Grants that allow every step, by name of thread, so that the policy server is asked about each thread."""
    everything = {"principals": ["*"], "machines": ["permit"], "threads": ["case-*"], "steps": ["*"]}
    grant = {**everything, "sizes": ["small", "medium", "large"], "rates": ["normal"]}
    path = folder / "grants.json"
    path.write_text(json.dumps({"grants": [grant]}))
    return path


def _any(kind: Kind, number: int = 0) -> Callable[[Whole], ProcessState]:
    return lambda run: run.of(kind)[number]


def _rqlite(*, leads: bool) -> Callable[[Whole], ProcessState]:
    def choose(run: Whole) -> ProcessState:
        return next(
            one
            for one, url in zip(run.of(Kind.RQLITE), run.store_urls, strict=True)
            if (json.loads(ask(f"{url}/status", seconds=5))["store"]["raft"]["state"] == "Leader") is leads
        )

    return choose


def _stream_leader(run: Whole) -> ProcessState:
    """The NATS server that leads the stream of steps."""
    for one in run.of(Kind.NATS):
        found = _json(f"http://127.0.0.1:{one.ports['monitor']}/jsz?streams=true&accounts=true&leader_only=false")
        for account in found["account_details"]:
            for stream in account.get("stream_detail", ()):
                if stream["name"] == "relm_permit_steps" and stream["cluster"].get("leader") == one.name:
                    return one
    raise AssertionError("nobody leads the stream of steps")


def _placement_leader(run: Whole) -> ProcessState:
    """The placement server that said last that it leads: nothing else of it tells."""

    def told(one: ProcessState) -> str:
        lines = [line for line in one.log.read_text().splitlines() if "has acquired leadership" in line]
        return lines[-1] if lines else ""  # lines begin with their time

    return max(run.of(Kind.PLACEMENT), key=told)


def _json(url: str) -> dict:  # type: ignore[type-arg]
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.load(answer)


TARGETS: dict[str, Callable[[Whole], ProcessState]] = {
    "rqlite leader": _rqlite(leads=True),
    "rqlite follower": _rqlite(leads=False),
    "NATS leader": _stream_leader,
    "sidecar": _any(Kind.SIDECAR),
    "placement leader": _placement_leader,
    "scheduler": _any(Kind.SCHEDULER),
    "OPA": _any(Kind.OPA, 1),
    "node": _any(Kind.NODE, 2),
}
