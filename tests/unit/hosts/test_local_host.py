"""Goal: rounds are bounded, what fails waits alone, nothing waits for ever (beyond the host contract). Method: a
scripted round runner that is released step by step and records what ran beside what."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence

import pytest

from relmachine.errors import Code, RelmError
from relmachine.hosts import local, parking
from relmachine.hosts.local import LocalHost
from relmachine.kernel.limits import Limits
from tests.contract.host_rounds import ScriptedRounds


def scenario(work: Coroutine[object, object, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 10))


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


class Ended(BaseException):
    """What no `except Exception` sees."""


def test_whatever_ends_a_turn_nobody_waits_for_ever() -> None:
    class Ending(ScriptedRounds):
        async def run(self, threads: Sequence[str], hinted: Mapping[str, int]) -> Mapping[str, int]:
            if "bad" in threads:
                raise Ended
            return await super().run(threads, hinted)

    async def work() -> None:
        rounds = Ending({"a": 1, "bad": 1})
        rounds.gate.set()
        host = LocalHost(rounds, Limits())
        asked = [asyncio.create_task(host.advance(name, 1)) for name in ("a", "bad")]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert answers[0] == 1
        assert isinstance(answers[1], RelmError)
        assert (answers[1].code, host.parked) == (Code.INTERNAL, 1)

    scenario(work())


def test_who_gave_up_waiting_is_not_kept() -> None:
    async def work() -> None:
        rounds = ScriptedRounds({"busy": 1, "a": 1})
        host = LocalHost(rounds, Limits(rounds_in_flight_max=1))
        running = asyncio.create_task(host.advance("busy", 1))
        await rounds.started.wait()
        for _ in range(50):
            asked = asyncio.create_task(host.advance("a", 1))
            await asyncio.sleep(0)
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
        last = asyncio.create_task(host.advance("a", 1))
        await asyncio.sleep(0)
        assert len(host._asked["a"]) == 1
        rounds.gate.set()
        assert await asyncio.gather(running, last) == [1, 1]

    scenario(work())


def test_closing_stops_a_round_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "CLOSE_SECONDS_MAX", 0.05)

    async def work() -> None:
        rounds = ScriptedRounds({"a": 1})
        host = LocalHost(rounds, Limits())
        asked = asyncio.create_task(host.advance("a", 1))
        await rounds.started.wait()
        await asyncio.wait_for(host.close(), 5)
        with pytest.raises(RelmError) as stopped:
            await asked
        assert stopped.value.code is Code.UNREACHABLE

    scenario(work())


def test_a_parked_thread_says_how_long_it_rests() -> None:
    async def work() -> None:
        rounds = ScriptedRounds({"a": 1, "bad": 1})
        rounds.gate.set()
        rounds.bad = "bad"
        host = LocalHost(rounds, Limits())
        assert host.resting("bad") == 0.0
        for name in ("a", "bad"):
            await asyncio.gather(host.advance(name, 1), return_exceptions=True)
        assert host.resting("a") == 0.0
        assert 0.0 < host.resting("bad") <= parking.FIRST_SECONDS

    scenario(work())
