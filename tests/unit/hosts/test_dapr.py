"""Goal: calls between nodes fail as values, share calls, run twice without harm and drain; the embedded path imports
nothing of it. Method: the host on a sidecar in this process that goes away, forgets its locks, or answers nonsense."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager

import pytest

from relmachine.errors import Code, RelmError
from relmachine.hosts import parking
from relmachine.hosts.dapr import DaprHost
from relmachine.hosts.dapr_actor import ActorTurns
from relmachine.hosts.dapr_bounds import DaprBounds
from relmachine.hosts.dapr_outcome import Advanced, Failed, decode_hint, decode_outcome, encode_hint, encode_outcome
from relmachine.hosts.local import LocalHost
from relmachine.hosts.parking import FIRST_SECONDS, Resting
from relmachine.kernel.limits import Limits
from tests.contract.host_rounds import ScriptedRounds
from tests.contract.sidecar_in_process import InProcessSidecar


class Desk:
    """A host, what it runs on, and the sidecar between them."""

    def __init__(self, available: dict[str, int], bounds: DaprBounds) -> None:
        self.rounds = ScriptedRounds(available)
        self.local = LocalHost(self.rounds, Limits())
        self.turns = ActorTurns(self.local, bounds.turn_seconds_max)
        self.sidecar = InProcessSidecar(self.turns)
        self.host = DaprHost(self.sidecar, self.sidecar, self.turns, bounds, self.local.cursors)

    async def call(self, thread: str, body: bytes) -> Advanced | Failed:
        """What the actor answers to a call from somewhere else."""
        return decode_outcome(await self.turns.advance(thread, body))


@asynccontextmanager
async def opened(available: dict[str, int], bounds: DaprBounds) -> AsyncGenerator[Desk]:
    desk = Desk(available, bounds)
    await desk.sidecar.start()
    yield desk
    desk.rounds.gate.set()
    await desk.host.close()
    await desk.local.close()


def play(
    work: Callable[[Desk], Coroutine[object, object, None]], available: dict[str, int], bounds: DaprBounds | None = None
) -> None:
    async def played() -> None:
        async with asyncio.timeout(10), opened(available, bounds or DaprBounds()) as desk:
            await work(desk)

    asyncio.run(played())


def test_outcomes_cross_as_values() -> None:
    for outcome in (
        Advanced(cursor=0),
        Advanced(cursor=2**60),
        Failed(code=Code.UNREACHABLE, sentence='1h "2024-01-02"'),
    ):
        assert decode_outcome(encode_outcome(outcome)) == outcome
    assert decode_hint(encode_hint(2**60)) == 2**60


def test_what_another_version_answers_is_read_or_is_a_failure() -> None:
    assert decode_outcome(b'{"cursor": 3, "node": "n1"}') == Advanced(cursor=3)
    for unknown in (b'{"code": "of_tomorrow", "sentence": "x"}', b"not json", b""):
        outcome = decode_outcome(unknown)
        assert isinstance(outcome, Failed)
        assert outcome.code is Code.UNREACHABLE


@pytest.mark.parametrize("body", [b"", b'"3"', b"3.5", b"true", b"{}", b"NaN"])
def test_a_call_that_is_no_hint_is_answered_with_a_code(body: bytes) -> None:
    async def work(desk: Desk) -> None:
        outcome = await desk.call("a", body)
        assert isinstance(outcome, Failed)
        assert outcome.code is Code.NOT_JSON
        assert desk.rounds.rounds == []

    play(work, {"a": 1})


@pytest.mark.parametrize("name", ["*", ">", "a.b", "", "x" * 300])
def test_a_call_for_what_is_no_thread_is_answered_with_a_code(name: str) -> None:
    async def work(desk: Desk) -> None:
        outcome = await desk.call(name, b"1")
        assert isinstance(outcome, Failed)
        assert outcome.code is Code.THREAD_NAME_INVALID
        assert desk.rounds.rounds == []

    play(work, {})


def test_a_sidecar_that_is_away_is_unreachable_and_is_asked_again_later() -> None:
    async def work(desk: Desk) -> None:
        desk.rounds.gate.set()
        desk.sidecar.away = True
        with pytest.raises(RelmError) as failed:
            await desk.host.advance("a", 1)
        assert failed.value.code is Code.UNREACHABLE
        assert (desk.host.calls_made, desk.host.calls_failed) == (1, 1)
        desk.sidecar.away = False
        assert await desk.host.advance("a", 1) == 1
        assert (desk.host.calls_made, desk.host.calls_failed) == (2, 1)

    play(work, {"a": 1})


def test_a_call_that_breaks_in_an_unknown_way_still_answers_who_waits() -> None:
    async def work(desk: Desk) -> None:
        async def broken(thread: str, body: bytes) -> bytes:
            raise KeyError(thread)

        desk.sidecar.call = broken  # type: ignore[method-assign]
        with pytest.raises(RelmError, match="KeyError") as failed:
            await desk.host.advance("a", 1)
        assert failed.value.code is Code.INTERNAL

    play(work, {"a": 1})


def test_a_turn_that_takes_too_long_is_answered_and_its_thread_can_go_on() -> None:
    async def work(desk: Desk) -> None:
        with pytest.raises(RelmError, match="turn_seconds_max") as failed:
            await desk.host.advance("a", 1)
        assert failed.value.code is Code.LIMIT_EXCEEDED
        desk.rounds.gate.set()
        assert await desk.host.advance("a", 1) == 1

    play(work, {"a": 1}, DaprBounds(turn_seconds_max=0.05))


def test_a_part_that_times_out_by_itself_is_not_taken_for_a_turn_that_took_too_long() -> None:
    async def work(desk: Desk) -> None:
        desk.rounds.gate.set()
        desk.rounds.error = TimeoutError("the store is slow")
        with pytest.raises(RelmError, match="the store is slow") as failed:
            await desk.host.advance("a", 1)
        assert failed.value.code is Code.UNREACHABLE

    play(work, {"a": 1})


def test_hints_of_one_thread_share_calls() -> None:
    async def work(desk: Desk) -> None:
        first = asyncio.create_task(desk.host.advance("a", 1))
        await desk.rounds.started.wait()
        others = [asyncio.create_task(desk.host.advance("a", hint)) for hint in range(2, 12)]
        await asyncio.sleep(0)
        assert desk.host.waiting == 1
        desk.rounds.gate.set()
        assert await first == 1
        assert await asyncio.gather(*others) == [11] * 10
        assert desk.sidecar.calls == 2

    play(work, {"a": 11})


def test_calls_in_flight_are_bounded() -> None:
    async def work(desk: Desk) -> None:
        names = [f"t{number}" for number in range(9)]
        asked = [asyncio.create_task(desk.host.advance(name, 1)) for name in names]
        await desk.rounds.started.wait()
        assert desk.sidecar.calls == 3
        desk.rounds.gate.set()
        assert await asyncio.gather(*asked) == [1] * 9

    play(work, {f"t{number}": 1 for number in range(9)}, DaprBounds(calls_in_flight_max=3))


def test_what_is_known_to_be_decided_is_not_called_for() -> None:
    """Known before it is asked, or by the time that a slot for the call is free: another node told of it."""

    async def work(desk: Desk) -> None:
        desk.local.cursors.note("known", 5)
        assert await desk.host.advance("known", 5) == 5
        holding = asyncio.create_task(desk.host.advance("a", 1))
        await desk.rounds.started.wait()
        waiting = [asyncio.create_task(desk.host.advance(name, 1)) for name in ("told", "b")]
        await asyncio.sleep(0)
        desk.local.cursors.note("told", 8)
        desk.rounds.gate.set()
        assert await asyncio.gather(holding, *waiting) == [1, 8, 1]
        assert (desk.sidecar.calls, desk.rounds.rounds) == (2, [["a"], ["b"]])

    play(work, {"a": 1, "b": 1, "told": 8, "known": 5}, DaprBounds(calls_in_flight_max=1))


def test_what_an_actor_on_another_node_answered_is_known() -> None:
    async def work(desk: Desk) -> None:
        asked: list[bytes] = []

        async def elsewhere(thread: str, body: bytes) -> bytes:
            asked.append(body)
            return encode_outcome(Advanced(cursor=9))

        desk.sidecar.call = elsewhere  # type: ignore[method-assign]
        assert await desk.host.advance("a", 4) == 9
        assert desk.host.reached("a") == 9
        assert await desk.host.advance("a", 9) == 9
        assert asked == [b"4"]
        assert await desk.host.advance("a", 10) == 9
        assert asked == [b"4", b"10"]

    play(work, {})


def test_an_actor_that_runs_twice_at_once_takes_turns_one_at_a_time() -> None:
    async def work(desk: Desk) -> None:
        desk.rounds.gate.set()
        desk.sidecar.unlocked = True
        asked = [(name, hint) for hint in range(1, 6) for name in ("a", "b")]
        cursors = await asyncio.gather(*(desk.host.advance(name, hint) for name, hint in asked))
        assert all(cursor >= hint for (_, hint), cursor in zip(asked, cursors, strict=True))

    play(work, {"a": 5, "b": 5})


def test_draining_answers_what_runs_and_sends_new_calls_elsewhere() -> None:
    async def work(desk: Desk) -> None:
        running = asyncio.create_task(desk.call("a", b"1"))
        await desk.rounds.started.wait()
        closing = asyncio.create_task(desk.host.close())
        for _ in range(5):
            await asyncio.sleep(0)
        refused = await desk.call("b", b"1")
        assert isinstance(refused, Failed)
        assert refused.code is Code.UNREACHABLE
        assert not closing.done()
        assert desk.sidecar.closed == []
        desk.rounds.gate.set()
        await closing
        assert running.done()
        assert await running == Advanced(cursor=1)
        assert len(desk.sidecar.closed) == 2

    play(work, {"a": 1, "b": 1})


def test_a_local_host_that_closes_under_a_call_answers_it() -> None:
    async def work(desk: Desk) -> None:
        held = asyncio.create_task(desk.call("a", b"1"))
        await desk.rounds.started.wait()
        queued = asyncio.create_task(desk.call("a", b"2"))
        await asyncio.sleep(0)
        closing = asyncio.create_task(desk.local.close())
        await asyncio.sleep(0)
        desk.rounds.gate.set()
        await closing
        assert await held == Advanced(cursor=1)
        outcome = await queued
        assert isinstance(outcome, Failed)
        assert outcome.code is Code.UNREACHABLE

    play(work, {"a": 2})


def test_the_embedded_path_imports_neither_dapr_nor_grpc() -> None:
    look = "import sys, relmachine.node.node, relmachine.cli; print({'dapr', 'grpc'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", look], text=True).strip() == "set()"


def test_the_host_imports_dapr_only_when_it_starts() -> None:
    look = "import sys, relmachine.hosts.dapr; print({'dapr', 'grpc'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", look], text=True).strip() == "set()"


def test_who_calls_learns_how_long_a_thread_rests() -> None:
    async def work(desk: Desk) -> None:
        desk.rounds.gate.set()
        desk.rounds.bad = "bad"
        assert desk.host.resting("bad") == 0.0
        with pytest.raises(RelmError, match="bad is broken"):
            await desk.host.advance("bad", 1)
        assert 0.0 < desk.host.resting("bad") <= FIRST_SECONDS
        desk.sidecar.away = True
        with pytest.raises(RelmError):
            await desk.host.advance("a", 1)
        assert desk.host.resting("a") == 0.0, "a call that did not arrive says nothing of the thread"

    play(work, {"a": 1, "bad": 1})


def test_what_is_known_of_resting_threads_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parking, "THREADS_MAX", 2)
    now = 0.0
    resting = Resting(lambda: now)
    for name in ("a", "b", "c"):
        resting.note(name, 5.0)
    assert [resting.seconds(name) for name in "abc"] == [5.0, 5.0, 0.0]
    now = 6.0
    resting.note("c", 5.0)
    resting.note("b", 0.0)
    assert [resting.seconds(name) for name in "abc"] == [0.0, 0.0, 5.0]
