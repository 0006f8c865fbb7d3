"""Goal: a control record meets a file that is free, or will be as soon as what is being written ends; data waits for
it, and not for ever. Method: a lane beside another connection that holds the file, and turns that are to be written.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import pytest

from relmachine.errors import Code, RelmError
from relmachine.kernel.lane import Asked
from relmachine.kernel.state import dump_state, initial_state
from relmachine.store import expecting, sqlite_lane
from relmachine.store.expecting import Expecting
from relmachine.store.file_order import FileOrder
from relmachine.store.port import Committed
from relmachine.store.sqlite import SqliteStore
from relmachine.store.sqlite_lane import SqliteLane, SqliteLaneStore
from relmachine.store.write_order import Order, WriteOrder
from tests.contract.store_turns import Desk


@pytest.fixture(params=["a process", "a file"])
def order(request: pytest.FixtureRequest, tmp_path: Path) -> Order:
    """Of the writers of one or the other."""
    return WriteOrder() if request.param == "a process" else FileOrder(tmp_path / "store.db")


def cancel(made: Desk, thread: str) -> Asked:
    empty = initial_state(made.plan, thread)
    return Asked(thread, 1, "cancel", "k", "{}", "{}", "", thread, empty.head, dump_state(empty))


@asynccontextmanager
async def opened(path: Path, order: Order | None = None) -> AsyncGenerator[tuple[Desk, SqliteStore, SqliteLaneStore]]:
    """A desk, a store and its lane."""
    made = Desk.new()
    store = SqliteStore.open(path, made.plan, order=order)
    lane = store.lane()
    try:
        yield made, store, lane
    finally:
        lane.close()
        await store.close()


@contextmanager
def held(path: Path) -> Generator[sqlite3.Connection]:
    """The file, while somebody writes to it; who gets the connection ends the transaction."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


def test_data_waits_for_a_record_that_is_on_its_way(
    tmp_path: Path, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expecting, "EXPECTED_SECONDS_MAX", 60.0)

    async def test() -> None:
        async with opened(tmp_path / "store.db", order) as (made, store, lane):
            with lane.expecting():
                await until(order.expected)
                writing = asyncio.create_task(store.commit([made.notes("t", 1)]))
                calm = asyncio.create_task(store.calm())
                with lane.expecting():
                    (effect,) = await lane.control([cancel(made, "u")])
                assert effect.outcome == "applied"
                done, _ = await asyncio.wait([writing, calm], timeout=0.2)
                assert not done, "the other one is still on its way"
            assert await writing == [Committed("t")]
            await calm
            await until(lambda: not order.expected())

    asyncio.run(test())


def test_data_does_not_wait_for_ever_for_records_that_overlap(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened(tmp_path / "store.db") as (made, store, lane), asyncio.timeout(10):
            with lane.expecting():
                for _ in range(2):
                    with lane.expecting():
                        assert await store.commit([made.notes("t", 1)]) == [Committed("t")]

    asyncio.run(test())


def test_data_goes_on_for_as_long_as_it_waited_between_records_that_follow_each_other(
    order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop's clock stands still but where the test moves it."""

    async def test() -> None:
        loop, now = asyncio.get_running_loop(), [1000.0]
        monkeypatch.setattr(loop, "time", lambda: now[0])
        with ThreadPoolExecutor(1) as thread:
            records = Expecting(order, thread)
            for seconds in (0.02, 0.05):
                with records.record():
                    await loop.run_in_executor(thread, int)
                    assert order.expected(), "it is announced"
                    data = asyncio.create_task(asyncio.to_thread(order.give_way))
                    now[0] += seconds
                for _ in range(2):  # they follow at once, for not quite as long
                    with records.record():
                        await loop.run_in_executor(thread, int)
                        assert not order.expected(), "data goes on"
                        await data
                        now[0] += 0.49 * seconds
                now[0] += 0.03 * seconds
            records.close()

    asyncio.run(test())


def test_a_lane_that_closes_keeps_no_data_waiting(
    tmp_path: Path, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expecting, "EXPECTED_SECONDS_MAX", 60.0)

    async def test() -> None:
        async with opened(tmp_path / "store.db", order) as (made, store, lane):
            with lane.expecting():
                await until(order.expected)
                lane.close()
                assert not order.expected()
                assert await store.commit([made.notes("t", 1)]) == [Committed("t")]

    asyncio.run(test())


def test_a_record_that_was_expected_waits_for_no_thread_where_the_file_is_free(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened(tmp_path / "store.db") as (made, _, lane):
            with lane.expecting():
                await until(lane._expecting.holds)  # pyright: ignore[reportPrivateUsage]
                taking = lane.control([cancel(made, "t")])
                with pytest.raises(StopIteration) as ended:
                    taking.send(None)
            assert [effect.outcome for effect in ended.value.value] == ["applied"]

    asyncio.run(test())


def test_one_that_was_not_keeps_the_order_of_writers(
    tmp_path: Path, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise data that found the file taken could be overtaken for ever: SQLite looks seldom."""
    urgent = list[bool]()
    begin = SqliteLane._begin  # pyright: ignore[reportPrivateUsage]

    def looked(self: SqliteLane, seconds_max: float) -> None:
        urgent.append(order.expected())
        begin(self, seconds_max)

    monkeypatch.setattr(SqliteLane, "_begin", looked)

    async def test() -> None:
        async with opened(tmp_path / "store.db", order) as (made, _, lane):
            (effect,) = await lane.control([cancel(made, "t")])
            assert effect.outcome == "applied"

    asyncio.run(test())
    assert urgent == [True]


def test_an_order_that_cannot_be_kept_is_not_held(tmp_path: Path) -> None:
    async def test() -> None:
        with ThreadPoolExecutor(1) as thread:
            records = Expecting(FileOrder(tmp_path / "no folder" / "store.db"), thread)
            with records.record():
                await asyncio.get_running_loop().run_in_executor(thread, int)
                assert not records.holds()

    asyncio.run(test())


def test_a_record_is_taken_when_what_is_being_written_ends(tmp_path: Path) -> None:
    async def test() -> None:
        path = tmp_path / "store.db"
        async with opened(path) as (made, _, lane):
            with held(path) as other:
                taking = asyncio.create_task(lane.control([cancel(made, "t")]))
                done, _ = await asyncio.wait([taking], timeout=0.05)
                assert not done
                other.execute("COMMIT")
                (effect,) = await taking
            assert effect.outcome == "applied"

    asyncio.run(test())


def test_a_file_that_stays_held_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_lane, "BUSY_SECONDS_MAX", 0.05)

    async def test() -> None:
        path = tmp_path / "store.db"
        async with opened(path) as (made, _, lane):
            with held(path), pytest.raises(RelmError) as refused:
                await lane.control([cancel(made, "t")])
            assert refused.value.code == Code.UNREACHABLE
            (effect,) = await lane.control([cancel(made, "t")])
            assert effect.outcome == "applied"

    asyncio.run(test())
