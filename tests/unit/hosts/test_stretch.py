"""Goal: a long stage of a round lets the rest of the loop in, and not more often than it must. Method: a clock by hand
and a neighbour on the same loop that counts its turns."""

from __future__ import annotations

import asyncio

import pytest

from relmachine.hosts import stretch
from relmachine.hosts.stretch import STRETCH_SECONDS, Stretch


class HandClock:
    """In place of the module `time`."""

    now = 100.0

    def perf_counter(self) -> float:
        return self.now


async def at_once() -> None:
    """Nothing urgent is on its way."""


def test_the_rest_of_the_loop_gets_a_turn_once_the_stretch_took_long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = HandClock()
    monkeypatch.setattr(stretch, "time", clock)

    async def work() -> None:
        turns = 0

        async def neighbour() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        beside = asyncio.create_task(neighbour())
        one = Stretch(at_once)
        for _ in range(50):
            clock.now += STRETCH_SECONDS / 10 + 1e-6
            await one.let_others_in()
        assert turns == 5
        beside.cancel()

    asyncio.run(work())


def test_what_is_urgent_is_let_by_after_every_thread() -> None:
    async def work() -> None:
        passed, calm = 0, asyncio.Event()

        async def threads() -> None:
            nonlocal passed
            one = Stretch(lambda: asyncio.wait_for(calm.wait(), 10))  # type: ignore[arg-type]
            for _ in range(3):
                await one.let_others_in()
                passed += 1

        working = asyncio.create_task(threads())
        await asyncio.sleep(0)
        assert passed == 0
        calm.set()
        await working
        assert passed == 3

    asyncio.run(work())
