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
        one = Stretch()
        for _ in range(50):
            clock.now += STRETCH_SECONDS / 10 + 1e-6
            await one.let_others_in()
        assert turns == 5
        beside.cancel()

    asyncio.run(work())
