"""Goal: the trigger is what keeps two nodes on one thread apart, and the checks see it when nothing does. Method: two
nodes' turns in this process on one replicated store, both told of every step at once as by a placement that is wrong
all the time; then the same without the trigger, and without the keys that stand behind it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import pytest

from relmachine.cluster.kind import Kind
from relmachine.errors import Code, RelmError
from relmachine.ingest.cases import LogStep
from relmachine.kernel.limits import Limits
from relmachine.node.parts import Parts, open_parts
from relmachine.node.settings import Settings
from relmachine.store.verify import verify
from tests import permit
from tests.cluster.contents import check_feeds, check_same, check_settled_once
from tests.cluster.long_threads import bursts
from tests.cluster.whole import DEADLINE_SECONDS, LOOK_SECONDS, Whole, alone, embedded, whole
from tests.store_by_hand import ask

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(900)]

THREADS = 40
BURSTS = 12
REFUSED_MIN = 200
SERVERS = (Kind.NATS, Kind.RQLITE)

_FENCE = "name = 'commits_fence'"
_REFUSES = "sql NOT LIKE '%INSTEAD OF%' AND name <> 'threads_begin'"
"""Every trigger but those that only spell an insert: through a view, or of a thread that is there."""
_KEYED = ("commits", "thread_events", "receipts", "rejections", "transitions", "outbox")
_WITHOUT_KEYS = tuple(
    statement
    for table in _KEYED
    for statement in (
        f"CREATE TABLE columns AS SELECT * FROM {table} WHERE 0",
        f"DROP TABLE {table}",
        f"CREATE TABLE {table} AS SELECT * FROM columns",
        "DROP TABLE columns",
    )
)


def test_two_nodes_that_take_every_turn_settle_every_step_once(tmp_path: Path) -> None:
    load = list(itertools.islice(bursts(THREADS), BURSTS))

    async def test() -> None:
        one_node = await embedded(tmp_path / "one", [step for burst in load for step in burst])
        async with whole(tmp_path / "servers", SERVERS) as run:
            async with two_nodes(run) as nodes:
                assert await taken_twice(run, nodes, load) == []
                found = await run.resting()
            refused = await run.refused_by_the_fence()
            check_settled_once(found, run.acknowledged)
            check_same(found, one_node)
            assert await check_feeds(run.feeds, found) == THREADS * BURSTS
            assert (await verify(run.store)).ok
            print(f"{THREADS * BURSTS} steps, each on two nodes: {refused} stale commits refused by the fence")
            assert refused >= REFUSED_MIN

    with alone(SERVERS):
        asyncio.run(test())


def test_without_the_trigger_turns_fail_on_the_keys_behind_it(tmp_path: Path) -> None:
    """Nothing is settled twice even so, but nothing is recognised as stale: nodes take it for a fault of the store."""

    async def test(run: Whole, nodes: Sequence[Parts]) -> None:
        errors = await taken_twice(run, nodes, list(itertools.islice(bursts(10), 3)))
        assert {error.code for error in errors} == {Code.INTERNAL}
        assert all("commits.thread, commits.from_seq" in str(error.witness["detail"]) for error in errors)
        assert await run.refused_by_the_fence() == 0
        check_settled_once(await run.resting(), run.acknowledged)

    _on_one_server(tmp_path, test, _FENCE)


def test_without_the_keys_as_well_the_checks_see_steps_settled_twice(tmp_path: Path) -> None:
    async def test(run: Whole, nodes: Sequence[Parts]) -> None:
        await taken_twice(run, nodes, list(itertools.islice(bursts(10), 3)))
        with pytest.raises(AssertionError, match="a step was decided twice"):
            check_settled_once(await run.resting(), run.acknowledged)

    _on_one_server(tmp_path, test, _REFUSES, _WITHOUT_KEYS)


def _on_one_server(folder: Path, test, dropped: str, statements: Sequence[str] = ()) -> None:  # type: ignore[no-untyped-def]
    """Run `test` with two nodes on one server of each kind, after triggers of which `dropped` is true are gone, and
    `statements` changed the schema."""

    async def work() -> None:
        async with whole(folder, SERVERS, nodes=1) as run, two_nodes(run) as nodes:
            found = await run.store.select(f"SELECT name FROM sqlite_schema WHERE type = 'trigger' AND {dropped}")
            assert found.rows
            for statement in (*(f"DROP TRIGGER {name}" for (name,) in found.rows), *statements):
                await asyncio.to_thread(_raw, run, statement)
            await test(run, nodes)

    with alone(SERVERS):
        asyncio.run(work())


def _raw(run: Whole, statement: str) -> None:
    """Run a statement beside the code."""
    answer = json.loads(ask(f"{run.store_urls[0]}/db/execute", json.dumps([[statement]]).encode()))
    assert "error" not in answer["results"][0], statement


@contextlib.asynccontextmanager
async def two_nodes(run: Whole) -> AsyncGenerator[Sequence[Parts]]:
    """The parts of two nodes on the servers of `run`, relays at work, dispatchers not."""
    settings = Settings(
        data_dir=run.folder,
        nats_urls=tuple(run.stream_url.split(",")),
        store_urls=tuple(run.store_urls),
        replicas=len(run.of(Kind.NATS)),
        limits=Limits(threads_per_round_max=1, rounds_in_flight_max=8),
    )
    async with contextlib.AsyncExitStack() as stack:
        nodes = [await open_parts(stack, permit.machine(), settings) for _ in range(2)]
        for node in nodes:
            node.turns.relay.start()
        yield nodes


async def taken_twice(run: Whole, nodes: Sequence[Parts], load: Sequence[Sequence[LogStep]]) -> list[RelmError]:
    """Publish burst by burst, and have both nodes take the turns of all its threads; the errors that turns ended in."""
    errors: list[RelmError] = []

    async def caught_up(node: Parts, thread: str, sequence: int) -> None:
        end = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < end:
            try:
                if await node.turns.local.advance(thread, sequence) >= sequence:
                    return
            except RelmError as error:
                errors.append(error)
            await asyncio.sleep(LOOK_SECONDS)
        raise AssertionError(f"{thread} did not reach {sequence}: {errors[-1:]}")

    for burst in load:
        last = await run.publish(burst)
        turns = [caught_up(node, thread, sequence) for thread, sequence in last.items() for node in nodes]
        await asyncio.gather(*turns)
    return errors
