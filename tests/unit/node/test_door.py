"""Goal: the door is shut exactly while too much waits, says when to come again, and asks the stream seldom. Method: a
scripted stream, and a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from relmachine.errors import Code, RelmError
from relmachine.kernel.limits import Limits
from relmachine.node import door as rooms
from relmachine.node.door import Door
from relmachine.stream.lag import Backlog


class Stream:
    """Says how much waits; counts how often it was asked."""

    def __init__(self, undecided: int = 0) -> None:
        self.undecided, self.asked = undecided, 0
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def backlog(self) -> Backlog:
        self.asked += 1
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return Backlog(100, 0, self.undecided // 2, self.undecided - self.undecided // 2)


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(rooms.time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 10))


async def enters(door: Door) -> RelmError | None:
    try:
        async with door.entering():
            door.passed(1)
    except RelmError as error:
        assert error.code is Code.OVERLOADED
        return error
    return None


def test_a_burst_is_counted_without_asking_and_stopped_at_the_bound(clock: Clock) -> None:
    async def work() -> None:
        stream = Stream(3)
        door = Door(stream.backlog, Limits(undecided_steps_max=10))
        answers = [await enters(door) for _ in range(9)]
        assert [answer is None for answer in answers] == [True] * 7 + [False] * 2
        assert (door.undecided, door.deferred) == (10, 2)
        told = answers[-1]
        assert told is not None
        assert (told.witness["undecided_steps_max"], told.witness["retry_after_seconds"]) == (10, 1)
        assert stream.asked == 1, "within a tenth of a second of the first look nobody looks again"

    run(work)


def test_nobody_is_refused_on_an_old_look(clock: Clock) -> None:
    async def work() -> None:
        stream = Stream(10)
        door = Door(stream.backlog, Limits(undecided_steps_max=10))
        assert await enters(door) is not None
        stream.undecided = 0
        clock.now += 0.2
        assert await enters(door) is None
        assert stream.asked == 2

    run(work)


def test_what_others_publish_is_seen_after_a_second(clock: Clock) -> None:
    async def work() -> None:
        stream = Stream(0)
        door = Door(stream.backlog, Limits(undecided_steps_max=10))
        assert await enters(door) is None
        stream.undecided = 10
        assert await enters(door) is None
        clock.now += 1.1
        assert await enters(door) is not None

    run(work)


def test_steps_that_pass_during_a_look_are_not_forgotten(clock: Clock) -> None:
    async def work() -> None:
        stream = Stream(5)
        door = Door(stream.backlog, Limits(undecided_steps_max=100))
        door.passed(7)
        stream.gate.clear()
        looking = asyncio.create_task(enters(door))
        while not stream.asked:  # noqa: ASYNC110 - a look has no bell
            await asyncio.sleep(0)
        door.passed(2)
        stream.gate.set()
        await looking
        assert door.undecided == 5 + 2 + 1

    run(work)


def test_places_for_publishers_are_bounded_and_given_back(clock: Clock) -> None:
    async def work() -> None:
        door = Door(Stream().backlog, Limits(submits_in_flight_max=2))
        async with door.entering():
            with pytest.raises(ValueError, match="broken"):
                async with door.entering():
                    told = await enters(door)
                    assert told is not None
                    assert told.witness["submits_in_flight_max"] == 2
                    raise ValueError("broken")
            assert await enters(door) is None
        assert await enters(door) is None

    run(work)


def test_many_who_come_together_look_once_and_stay_within_the_places(clock: Clock) -> None:
    async def work() -> None:
        stream = Stream()
        stream.gate.clear()
        door = Door(stream.backlog, Limits(submits_in_flight_max=5))
        coming = [asyncio.create_task(enters(door)) for _ in range(50)]
        while not stream.asked:  # noqa: ASYNC110 - a look has no bell
            await asyncio.sleep(0)
        stream.gate.set()
        answers = await asyncio.gather(*coming)
        assert sum(answer is None for answer in answers) == 5
        assert stream.asked == 1

    run(work)


@pytest.mark.parametrize("error", [RelmError(Code.UNREACHABLE, "start it"), TimeoutError()])
def test_a_stream_that_does_not_answer_keeps_nobody_out(clock: Clock, error: Exception) -> None:
    async def work() -> None:
        stream = Stream()
        stream.error = error
        door = Door(stream.backlog, Limits(undecided_steps_max=2))
        assert [await enters(door) is None for _ in range(3)] == [True, True, False], "what it let in still counts"

    run(work)
