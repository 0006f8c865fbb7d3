"""Goal: the lag told is the one there is, also while the store says nothing, and asking costs the same for any number
of threads. Method: a stream by script beside a real store, and a model of what is undecided."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from relmachine.errors import Code, RelmError
from relmachine.kernel.limits import Limits
from relmachine.observe import lag as rooms
from relmachine.observe.lag import LagView
from relmachine.store.port import Table
from relmachine.store.sqlite import SqliteStore
from relmachine.stream.lag import FEEDS, Backlog, FirstStep
from relmachine.stream.open_hints import OpenHints
from tests.contract.store_turns import Desk

FLOOR = 6


class Stream:
    """Steps by sequence, one published each second until now; counts what it is asked."""

    def __init__(self, *threads: str) -> None:
        self.threads = threads
        self.now = time.time()
        self.open_hints = OpenHints(100)
        self.asked = {"backlog": 0, "newest": 0, "first": 0}
        self.scanned = 3

    async def backlog(self) -> Backlog:
        self.asked["backlog"] += 1
        waiting = len(self.threads) - FLOOR
        return Backlog(len(self.threads), FLOOR, waiting - 1, 1)

    async def ends(self) -> dict[Any, int]:
        return dict(zip(FEEDS, (5, 4, 2), strict=True))

    async def published_at(self, sequence: int) -> float | None:
        return self.now - (len(self.threads) - sequence)

    async def first_above(self, floor: int) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for sequence in range(floor + 1, min(floor + self.scanned, len(self.threads)) + 1):
            found.setdefault(self.threads[sequence - 1], []).append(sequence)
        return found

    async def newest_of(self, threads: Sequence[str]) -> list[int]:
        self.asked["newest"] += len(threads)
        return [max(self.of(thread), default=0) for thread in threads]

    async def first_steps(self, cursors: Sequence[tuple[str, int]]) -> list[FirstStep | None]:
        self.asked["first"] += len(cursors)
        found: list[FirstStep | None] = []
        for thread, cursor in cursors:
            above = [sequence for sequence in self.of(thread) if sequence > cursor]
            found.append(FirstStep(above[0], self.now - (len(self.threads) - above[0]), len(above)) if above else None)
        return found

    def of(self, thread: str) -> list[int]:
        return [place for place, name in enumerate(self.threads, start=1) if name == thread]


class Store:
    """A real store that can be made silent."""

    def __init__(self, real: SqliteStore) -> None:
        self.real = real
        self.silent: BaseException | None = None
        self.asked = 0

    async def select(self, sql: str, parameters: Sequence[object] = ()) -> Table:
        self.asked += 1
        if self.silent is not None:
            raise self.silent
        return await self.real.select(sql, parameters)


def on_lag(folder: Path, stream: Stream, work: Callable[[LagView, Store], Awaitable[None]]) -> None:
    """Threads a, b, c have decided the sequences 1 to 6 of the stream: a 1 and 4, b 2 and 5, c 3 and 6."""

    async def run() -> None:
        made = Desk.new()
        real = SqliteStore.open(folder / "store.db", made.plan)
        for thread in ("a", "b", "c", "a", "b", "c"):
            await real.commit([made.turn(thread, made.steps.admitted(thread, "receive"))])
        store = Store(real)
        try:
            await work(LagView(cast(Any, store), cast(Any, stream), Limits(lag_threads_max=5)), store)
        finally:
            await real.close()

    asyncio.run(asyncio.wait_for(run(), 20))


def is_about(seconds: float, age: float | None) -> bool:
    """Whether it is that age, but for the time that the test itself may take on a busy machine."""
    return age is not None and seconds <= age < seconds + 20


BEGUN = ("a", "b", "c", "a", "b", "c")


def test_lanes_tell_newest_waiting_and_the_age_of_the_oldest(tmp_path: Path) -> None:
    async def work(view: LagView, store: Store) -> None:
        lanes = {lane.lane: lane for lane in (await view.most(0))[0]}
        steps = lanes["steps"]
        assert (steps.newest, steps.waiting, steps.undelivered, steps.unacknowledged) == (10, 4, 3, 1)
        assert steps.oldest_sequence == 7
        assert is_about(3, steps.oldest_seconds)
        journal = lanes["journal"]
        assert (journal.newest, journal.waiting, journal.undelivered, journal.unacknowledged) == (5, 6, None, None)
        assert journal.oldest_sequence == 1
        assert is_about(9, journal.oldest_seconds)
        assert (lanes["out"].waiting, lanes["rejected"].waiting) == (3, 0)
        assert (lanes["rejected"].oldest_sequence, lanes["rejected"].oldest_seconds) == (None, None)

    on_lag(tmp_path, Stream(*BEGUN, "a", "b", "a", "new"), work)


def test_threads_that_lag_come_by_the_age_of_their_oldest_step(tmp_path: Path) -> None:
    async def work(view: LagView, store: Store) -> None:
        threads = (await view.most(5))[1]
        told = [(line.thread, line.cursor, line.newest, line.behind, line.oldest_sequence) for line in threads]
        assert told == [("b", 5, 7, 1, 7), ("a", 4, 9, 2, 8)], "c is not behind, new was not looked at"
        assert is_about(3, threads[0].oldest_seconds)

    on_lag(tmp_path, Stream(*BEGUN, "b", "a", "a", "new"), work)


def test_a_stuck_thread_far_behind_what_is_looked_at_is_known_by_its_hints(tmp_path: Path) -> None:
    stream = Stream(*BEGUN, *("c" for _ in range(50)), "stuck", *("c" for _ in range(50)), "stuck")
    stream.open_hints.came("stuck", 57)
    stream.open_hints.came("decided", 5)

    async def work(view: LagView, store: Store) -> None:
        threads = (await view.most(5))[1]
        assert [(line.thread, line.behind, line.oldest_sequence) for line in threads] == [
            ("c", 100, 7),
            ("stuck", 2, 57),
        ]
        assert stream.asked["first"] == 2

    on_lag(tmp_path, stream, work)


def test_hints_that_another_node_decided_are_forgotten(tmp_path: Path) -> None:
    stream = Stream(*BEGUN, "a")
    stream.open_hints.came("b", 5)
    stream.open_hints.came("a", 7)

    async def work(view: LagView, store: Store) -> None:
        assert [line.thread for line in (await view.most(5))[1]] == ["a"]
        assert stream.open_hints.by_thread() == {"a": [7]}

    on_lag(tmp_path, stream, work)


@pytest.mark.parametrize("silence", [RelmError(Code.UNREACHABLE, "start it"), TimeoutError()])
def test_without_the_store_the_stream_still_tells(tmp_path: Path, silence: BaseException) -> None:
    async def work(view: LagView, store: Store) -> None:
        store.silent = silence
        lanes, threads = await view.most(5)
        assert [lane.waiting for lane in lanes] == [4, None, None, None]
        assert [(line.thread, line.cursor, line.behind) for line in threads] == [("b", None, 1), ("a", None, 2)]
        (named,) = await view.of(["a"])
        assert (named.cursor, named.behind, named.oldest_sequence) == (None, 2, 8)

    on_lag(tmp_path, Stream(*BEGUN, "b", "a", "a", "new"), work)


def test_a_store_that_never_answers_is_waited_for_a_moment_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "STORE_SECONDS_MAX", 0.05)

    async def work(view: LagView, store: Store) -> None:
        async def never(sql: str, parameters: Sequence[object] = ()) -> Table:
            await asyncio.Event().wait()
            raise AssertionError

        store.select = never  # type: ignore[method-assign]
        lanes, _ = await view.most(0)
        assert lanes[1].waiting is None

    on_lag(tmp_path, Stream(*BEGUN, "a"), work)


def test_another_error_of_the_store_is_an_error(tmp_path: Path) -> None:
    async def work(view: LagView, store: Store) -> None:
        store.silent = RelmError(Code.STORE_DAMAGED, "restore it")
        with pytest.raises(RelmError, match="store_damaged"):
            await view.most(0)

    on_lag(tmp_path, Stream(*BEGUN), work)


def test_threads_that_are_named_are_told_in_their_order_whether_they_lag_or_not(tmp_path: Path) -> None:
    stream = Stream(*BEGUN, "a", "new", "a", "new")

    async def work(view: LagView, store: Store) -> None:
        told = await view.of(["new", "c", "a", "nobody%2F1"])
        assert [(line.label, line.cursor, line.newest, line.behind, line.oldest_sequence) for line in told] == [
            ("new", 0, 10, 2, 8),
            ("c", 6, 6, 0, None),
            ("a", 4, 9, 2, 7),
            ("nobody/1", 0, 0, 0, None),
        ]
        assert stream.asked["first"] == 2, "only what is behind is counted"
        for threads, code in ((["a b"], Code.THREAD_NAME_INVALID), (["a"] * 6, Code.LIMIT_EXCEEDED)):
            with pytest.raises(RelmError) as refused:
                await view.of(threads)
            assert refused.value.code is code
        with pytest.raises(RelmError, match="at most 5"):
            await view.most(6)

    on_lag(tmp_path, stream, work)


def test_many_who_ask_cost_one_answer_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Stream(*BEGUN, *(f"t{place}" for place in range(200)))
    stream.scanned = 150

    async def work(view: LagView, store: Store) -> None:
        now = time.monotonic()
        monkeypatch.setattr(rooms.time, "monotonic", lambda: now)
        answers = await asyncio.gather(*(view.most(3) for _ in range(40)))
        assert {len(threads) for _, threads in answers} == {3}
        assert stream.asked == {"backlog": 1, "newest": 3, "first": 3}
        assert store.asked == 2
        assert len((await view.most(1))[1]) == 1
        assert stream.asked["backlog"] == 1
        assert len((await view.most(5))[1]) == 5, "more than was asked for before"
        assert stream.asked["backlog"] == 2
        now += 1.1
        await view.most(3)
        assert stream.asked["backlog"] == 3

    on_lag(tmp_path, stream, work)
