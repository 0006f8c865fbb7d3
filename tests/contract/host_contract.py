"""Goal: every adapter of `Host` keeps the same promises. Method: one class of tests, inherited per adapter, on rounds
that a script counts, holds back and breaks."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager

import pytest

from relmachine.errors import Code, RelmError
from relmachine.hosts.port import Host
from relmachine.kernel.limits import Limits
from relmachine.kernel.thread_token import encode_thread
from tests.contract.host_rounds import ScriptedRounds

SECONDS_MAX = 30.0

Scenario = Callable[[Host, ScriptedRounds], Coroutine[object, object, None]]


class HostContract(ABC):
    """Inherit, and say how to make the host."""

    @abstractmethod
    def host(self, rounds: ScriptedRounds) -> AbstractAsyncContextManager[Host]:
        """A host whose turns are those of `rounds`, closed at the end of the block."""

    def run(self, work: Coroutine[object, object, None]) -> None:
        """Run a scenario to its end."""
        asyncio.run(work)

    def play(self, available: dict[str, int], scenario: Scenario, *, gate: bool = True) -> ScriptedRounds:
        """Run `scenario` on a fresh host; the turns run at once unless `gate` is False."""
        played: list[ScriptedRounds] = []

        async def work() -> None:
            rounds = ScriptedRounds(available)
            played.append(rounds)
            if gate:
                rounds.gate.set()
            async with asyncio.timeout(SECONDS_MAX), self.host(rounds) as host:
                await scenario(host, rounds)

        self.run(work())
        return played[0]

    def test_turns_go_on_until_the_hint_is_reached(self) -> None:
        async def scenario(host: Host, rounds: ScriptedRounds) -> None:
            assert await host.advance("a", 3) == 3

        assert self.play({"a": 3}, scenario).rounds == [["a"]] * 3

    def test_a_hint_beyond_what_can_be_read_is_answered_with_the_cursor(self) -> None:
        async def scenario(host: Host, rounds: ScriptedRounds) -> None:
            assert await host.advance("a", 9) == 1

        self.play({"a": 1}, scenario)

    def test_a_hint_of_what_was_decided_long_ago_is_answered_with_the_cursor(self) -> None:
        async def scenario(host: Host, rounds: ScriptedRounds) -> None:
            assert await host.advance("a", 3) == 3
            assert await host.advance("a", 1) == 3
            assert host.reached("a") == 3

        assert self.play({"a": 3}, scenario).rounds == [["a"]] * 3

    def test_what_is_known_of_a_thread_is_what_was_committed(self) -> None:
        async def scenario(host: Host, rounds: ScriptedRounds) -> None:
            assert host.reached("a") == -1
            asked = asyncio.create_task(host.advance("a", 1))
            await rounds.started.wait()
            assert host.reached("a") == -1
            rounds.gate.set()
            assert await asked == 1
            assert (host.reached("a"), host.reached("b")) == (1, -1)

        self.play({"a": 2, "b": 1}, scenario, gate=False)

    def test_hints_that_come_during_a_turn_share_the_next_one(self) -> None:
        async def scenario(host: Host, rounds: ScriptedRounds) -> None:
            first = asyncio.create_task(host.advance("a", 1))
            await rounds.started.wait()
            others = [asyncio.create_task(host.advance("a", 2)) for _ in range(5)]
            await asyncio.sleep(0)
            rounds.gate.set()
            assert await first == 1
            assert await asyncio.gather(*others) == [2] * 5

        assert self.play({"a": 2}, scenario, gate=False).rounds == [["a"]] * 2

    def test_turns_of_a_thread_never_overlap_and_every_hint_is_answered(self) -> None:
        names = [f"t{number}" for number in range(8)]

        async def scenario(host: Host, rounds: ScriptedRounds) -> None:
            asked = [(name, hint) for hint in range(1, 21) for name in names]
            cursors = await asyncio.gather(*(host.advance(name, hint) for name, hint in asked))
            assert all(cursor >= hint for (_, hint), cursor in zip(asked, cursors, strict=True))

        played = self.play(dict.fromkeys(names, 20), scenario)
        assert played.cursors == dict.fromkeys(names, 20)

    def test_a_thread_whose_turn_takes_long_does_not_hold_up_another(self) -> None:
        async def scenario(host: Host, rounds: ScriptedRounds) -> None:
            slow = asyncio.create_task(host.advance("slow", 1))
            await rounds.started.wait()
            held, rounds.gate = rounds.gate, asyncio.Event()
            rounds.gate.set()
            assert await host.advance("other", 1) == 1
            assert not slow.done()
            held.set()
            assert await slow == 1

        self.play({"slow": 1, "other": 1}, scenario, gate=False)

    def test_names_arrive_as_they_are(self) -> None:
        names = [
            encode_thread(label)
            for label in (
                "a.b",
                "with space",
                "50%25",
                "a/b?c#d",
                "..",
                "ünïcödé",
                "~_-",
                "x" * Limits().thread_token_characters_max,
            )
        ]

        async def scenario(host: Host, rounds: ScriptedRounds) -> None:
            assert await asyncio.gather(*(host.advance(name, 1) for name in names)) == [1] * len(names)

        played = self.play(dict.fromkeys(names, 1), scenario)
        assert sorted(name for names_of in played.rounds for name in names_of) == sorted(names)

    def test_a_part_that_is_away_fails_who_waits_and_the_thread_can_run_again(self) -> None:
        async def scenario(host: Host, rounds: ScriptedRounds) -> None:
            rounds.error = ConnectionError("store away")
            with pytest.raises(Exception, match="store away"):
                await host.advance("a", 1)
            rounds.error = None
            assert await host.advance("a", 2) == 2

        self.play({"a": 2}, scenario)

    def test_a_coded_failure_keeps_its_code_and_sentence(self) -> None:
        async def scenario(host: Host, rounds: ScriptedRounds) -> None:
            rounds.error = RelmError(Code.LIMIT_EXCEEDED, "the machine's laws refuse what its own steps do")
            with pytest.raises(RelmError) as failed:
                await host.advance("a", 1)
            assert (failed.value.code, failed.value.sentence) == (rounds.error.code, rounds.error.sentence)

        self.play({"a": 1}, scenario)

    def test_one_bad_thread_fails_alone(self) -> None:
        async def scenario(host: Host, rounds: ScriptedRounds) -> None:
            rounds.bad = "bad"
            asked = [asyncio.create_task(host.advance(name, 1)) for name in ("a", "bad", "c")]
            answers = await asyncio.gather(*asked, return_exceptions=True)
            assert (answers[0], answers[2]) == (1, 1)
            assert isinstance(answers[1], Exception)
            assert "bad is broken" in str(answers[1])

        self.play({"a": 1, "bad": 1, "c": 1}, scenario)

    def test_who_gives_up_waiting_takes_no_answer_from_the_others(self) -> None:
        async def scenario(host: Host, rounds: ScriptedRounds) -> None:
            asked = [asyncio.create_task(host.advance("a", 1)) for _ in range(3)]
            await rounds.started.wait()
            asked[0].cancel()
            rounds.gate.set()
            answers = await asyncio.gather(*asked, return_exceptions=True)
            assert isinstance(answers[0], asyncio.CancelledError)
            assert answers[1:] == [1, 1]

        self.play({"a": 1}, scenario, gate=False)

    def test_closing_lets_the_running_turn_finish_and_refuses_more(self) -> None:
        async def scenario(host: Host, rounds: ScriptedRounds) -> None:
            running = asyncio.create_task(host.advance("a", 1))
            await rounds.started.wait()
            queued = asyncio.create_task(host.advance("a", 2))
            await asyncio.sleep(0)
            closing = asyncio.create_task(host.close())
            await asyncio.sleep(0)
            assert not closing.done()
            rounds.gate.set()
            await closing
            assert await running == 1
            with pytest.raises(asyncio.CancelledError):
                await queued
            with pytest.raises(asyncio.CancelledError):
                await host.advance("a", 2)

        played = self.play({"a": 2}, scenario, gate=False)
        assert played.rounds == [["a"]]
