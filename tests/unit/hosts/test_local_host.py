"""Goal: turns of a thread never overlap, no hint is forgotten, nothing waits for ever. Method: a scripted round runner
that is released step by step and records what ran beside what."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence

import pytest

from relmachine.hosts import parking
from relmachine.hosts.local import LocalHost
from relmachine.kernel.limits import Limits


class ScriptedRounds:
    """Each thread has a stream of `available` sequences; a turn takes one sequence, after `gate` opens."""

    def __init__(self, available: Mapping[str, int]) -> None:
        self.available = dict(available)
        self.cursors = dict.fromkeys(available, 0)
        self.running: list[str] = []
        self.rounds: list[list[str]] = []
        self.most_rounds = 0
        self.in_flight = 0
        self.gate = asyncio.Event()
        self.started = asyncio.Event()
        self.error: Exception | None = None
        self.bad: str | None = None

    async def run(self, threads: Sequence[str]) -> Mapping[str, int]:
        assert not set(threads) & set(self.running), "two turns of one thread at once"
        self.running.extend(threads)
        self.rounds.append(list(threads))
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


def scenario(work: Coroutine[object, object, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 10))


def test_turns_go_on_until_the_hint_is_reached() -> None:
    async def work() -> None:
        rounds = ScriptedRounds({"a": 3})
        rounds.gate.set()
        assert await LocalHost(rounds, Limits()).advance("a", 3) == 3
        assert rounds.rounds == [["a"]] * 3

    scenario(work())


def test_hints_that_come_during_a_turn_share_the_next_one() -> None:
    async def work() -> None:
        rounds = ScriptedRounds({"a": 2})
        host = LocalHost(rounds, Limits())
        first = asyncio.create_task(host.advance("a", 1))
        await rounds.started.wait()
        others = [asyncio.create_task(host.advance("a", 2)) for _ in range(5)]
        await asyncio.sleep(0)
        rounds.gate.set()
        assert await first == 1
        assert await asyncio.gather(*others) == [2] * 5
        assert len(rounds.rounds) == 2

    scenario(work())


def test_a_hint_beyond_what_can_be_read_is_answered_with_the_cursor() -> None:
    async def work() -> None:
        rounds = ScriptedRounds({"a": 1})
        rounds.gate.set()
        assert await LocalHost(rounds, Limits()).advance("a", 9) == 1

    scenario(work())


def test_rounds_in_flight_and_threads_per_round_are_bounded() -> None:
    async def work() -> None:
        names = [f"t{number}" for number in range(10)]
        rounds = ScriptedRounds(dict.fromkeys(names, 1))
        host = LocalHost(rounds, Limits(rounds_in_flight_max=2, threads_per_round_max=3))
        asked = [asyncio.create_task(host.advance(name, 1)) for name in names]
        await rounds.started.wait()
        rounds.gate.set()
        assert await asyncio.gather(*asked) == [1] * 10
        assert rounds.most_rounds == 2
        assert max(map(len, rounds.rounds)) == 3
        assert sorted(name for names_of in rounds.rounds for name in names_of) == sorted(names)

    scenario(work())


def test_a_failed_round_fails_its_waiters_and_the_thread_can_run_again() -> None:
    async def work() -> None:
        rounds = ScriptedRounds({"a": 2})
        rounds.gate.set()
        rounds.error = ConnectionError("store away")
        host = LocalHost(rounds, Limits())
        with pytest.raises(ConnectionError, match="store away"):
            await host.advance("a", 1)
        rounds.error = None
        assert await host.advance("a", 2) == 2

    scenario(work())


def test_one_bad_thread_waits_alone() -> None:
    async def work() -> None:
        rounds = ScriptedRounds({"a": 1, "bad": 1, "c": 1})
        rounds.gate.set()
        rounds.bad = "bad"
        host = LocalHost(rounds, Limits())
        asked = [asyncio.create_task(host.advance(name, 1)) for name in ("a", "bad", "c")]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert (answers[0], answers[2]) == (1, 1)
        assert isinstance(answers[1], ValueError)
        assert host.parked == 1
        taken = len(rounds.rounds)
        with pytest.raises(ValueError, match="bad is broken"):
            await host.advance("bad", 1)
        assert len(rounds.rounds) == taken, "a parked thread was tried again at once"

    scenario(work())


def test_a_parked_thread_is_tried_again_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parking, "FIRST_SECONDS", 0.0)

    async def work() -> None:
        rounds = ScriptedRounds({"bad": 1})
        rounds.gate.set()
        rounds.bad = "bad"
        host = LocalHost(rounds, Limits())
        with pytest.raises(ValueError, match="bad is broken"):
            await host.advance("bad", 1)
        rounds.bad = None
        assert await host.advance("bad", 1) == 1
        assert host.parked == 0

    scenario(work())


def test_a_hint_that_comes_while_the_cursor_stands_still_gets_a_turn_of_its_own() -> None:
    async def work() -> None:
        rounds = ScriptedRounds({"a": 1})
        host = LocalHost(rounds, Limits())
        first = asyncio.create_task(host.advance("a", 5))
        await rounds.started.wait()
        rounds.available["a"] = 2
        late = asyncio.create_task(host.advance("a", 2))
        await asyncio.sleep(0)
        rounds.gate.set()
        assert await late == 2
        assert await first == 2

    scenario(work())


def test_closing_lets_the_running_turn_finish_and_refuses_more() -> None:
    async def work() -> None:
        rounds = ScriptedRounds({"a": 1, "b": 1})
        host = LocalHost(rounds, Limits(rounds_in_flight_max=1, threads_per_round_max=1))
        running = asyncio.create_task(host.advance("a", 1))
        queued = asyncio.create_task(host.advance("b", 1))
        await rounds.started.wait()
        closing = asyncio.create_task(host.close())
        await asyncio.sleep(0)
        rounds.gate.set()
        await closing
        assert await running == 1
        with pytest.raises(asyncio.CancelledError):
            await queued
        with pytest.raises(asyncio.CancelledError):
            await host.advance("a", 2)

    scenario(work())
