"""Rounds by script: what a host runs in the tests of hosts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence


class ScriptedRounds:
    """Each thread has a stream of `available` sequences; a turn takes one sequence, after `gate` opens.

    Keeps which rounds ran. Two turns of one thread at once fail the round, and so the test that waits for it.
    """

    def __init__(self, available: Mapping[str, int]) -> None:
        self.available = dict(available)
        self.cursors = dict.fromkeys(available, 0)
        self.running: list[str] = []
        self.rounds: list[list[str]] = []
        self.hinted: list[dict[str, int]] = []
        self.most_rounds = 0
        self.in_flight = 0
        self.gate = asyncio.Event()
        self.started = asyncio.Event()
        self.error: Exception | None = None
        self.bad: str | None = None

    async def run(self, threads: Sequence[str], hinted: Mapping[str, int]) -> Mapping[str, int]:
        """A round; see `hosts.local.RoundRunner`."""
        assert not set(threads) & set(self.running), "two turns of one thread at once"
        self.running.extend(threads)
        self.rounds.append(list(threads))
        self.hinted.append(dict(hinted))
        self.in_flight += 1
        self.most_rounds = max(self.most_rounds, self.in_flight)
        self.started.set()
        await self.gate.wait()
        self.in_flight -= 1
        for thread in threads:
            self.running.remove(thread)
        if self.bad in threads:
            raise ValueError(f"{self.bad} is broken")
        for thread in threads:
            self.cursors[thread] = min(self.cursors[thread] + 1, self.available[thread])
        if self.error is not None:
            raise self.error
        return {thread: self.cursors[thread] for thread in threads}
