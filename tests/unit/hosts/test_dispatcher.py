"""Goal: a hint is acknowledged only when its sequence is committed. Method: scripted hints and a scripted host."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

from structlog.testing import capture_logs

from relmachine.hosts.dispatcher import Dispatcher
from relmachine.kernel.limits import Limits
from relmachine.stream.port import Hint


class ScriptedHints:
    """Delivers the given batches, then waits; keeps what was acknowledged and handed back."""

    def __init__(self, *given: Sequence[Hint]) -> None:
        self.given = given
        self.acknowledged: list[Hint] = []
        self.returned: list[Hint] = []
        self.away: list[float] = []
        self.answered = asyncio.Condition()

    async def batches(self) -> AsyncIterator[Sequence[Hint]]:
        for batch in self.given:
            yield batch
        await asyncio.Event().wait()

    async def done(self, hints: Sequence[Hint]) -> None:
        async with self.answered:
            self.acknowledged.extend(hints)
            self.answered.notify_all()

    async def again(self, hints: Sequence[Hint], seconds: float = 0.0) -> None:
        async with self.answered:
            self.returned.extend(hints)
            self.away.append(seconds)
            self.answered.notify_all()

    async def all_answered(self) -> None:
        expected = sum(map(len, self.given))
        async with self.answered:
            await self.answered.wait_for(lambda: len(self.acknowledged) + len(self.returned) == expected)


class ScriptedHost:
    """Every thread's cursor is fixed; `broken` ones raise, and rest for 7 s. `known` says what is known without asking.
    Keeps what was asked."""

    def __init__(self, cursors: dict[str, int], broken: str = "") -> None:
        self.cursors, self.broken = cursors, broken
        self.known: dict[str, int] = {}
        self.asked: list[tuple[str, int]] = []

    async def advance(self, thread: str, hint: int) -> int:
        self.asked.append((thread, hint))
        if thread == self.broken:
            raise ConnectionError("store away")
        return self.cursors[thread]

    def reached(self, thread: str) -> int:
        return self.known.get(thread, -1)

    def resting(self, thread: str) -> float:
        return 7.0 if thread == self.broken else 0.0

    async def close(self) -> None:
        return None


def run(hints: ScriptedHints, host: ScriptedHost) -> Dispatcher:
    dispatcher = Dispatcher(hints, host, Limits())

    async def work() -> None:
        dispatcher.start()
        await asyncio.wait_for(hints.all_answered(), 10)
        await dispatcher.close()

    asyncio.run(work())
    return dispatcher


def test_one_call_per_thread_with_its_highest_sequence() -> None:
    hints = ScriptedHints([Hint("a", 1, None), Hint("b", 2, None), Hint("a", 5, None)])
    host = ScriptedHost({"a": 5, "b": 2})
    run(hints, host)
    assert sorted(host.asked) == [("a", 5), ("b", 2)]
    assert len(hints.acknowledged) == 3


def test_what_is_above_the_cursor_goes_back() -> None:
    hints = ScriptedHints([Hint("a", 1, None), Hint("a", 5, None)])
    run(hints, ScriptedHost({"a": 4}))
    assert [hint.sequence for hint in hints.acknowledged] == [1]
    assert [hint.sequence for hint in hints.returned] == [5]
    assert hints.away == [0.0]


def test_a_failed_turn_hands_its_hints_back_and_leaves_others_alone() -> None:
    hints = ScriptedHints([Hint("a", 1, None), Hint("b", 2, None)])
    dispatcher = run(hints, ScriptedHost({"b": 2}, broken="a"))
    assert [hint.thread for hint in hints.returned] == ["a"]
    assert [hint.thread for hint in hints.acknowledged] == ["b"]
    assert hints.away == [7.0], "it would only fail until then"
    assert (dispatcher.failures, dispatcher.unfinished) == (1, 0)


def test_a_batch_that_fails_is_one_line_with_its_reasons() -> None:
    hints = ScriptedHints([Hint(f"t{number}", number, None) for number in range(1, 9)])

    class Away(ScriptedHost):
        async def advance(self, thread: str, hint: int) -> int:
            raise ConnectionError(f"part {hint % 2} is away")

    with capture_logs() as lines:
        dispatcher = run(hints, Away({}))
    assert dispatcher.failures == 8
    (line,) = [line for line in lines if line["log_level"] == "warning"]
    assert (line["count"], line["reasons"]) == (8, 2)
    assert line["threads"] == ["t1", "t2", "t3", "t4", "t5"]
    assert line["errors"] == ["ConnectionError('part 1 is away')", "ConnectionError('part 0 is away')"]


def test_closing_hands_back_what_is_in_hand() -> None:
    """One batch runs on a host that never answers, the next one waits for a place beside it."""
    given = [[Hint("a", 1, None)], [Hint("b", 2, None)]]
    hints = ScriptedHints(*given)

    class Silent(ScriptedHost):
        async def advance(self, thread: str, hint: int) -> int:
            asked.set()
            return await asyncio.Future()

    asked = asyncio.Event()

    async def work() -> None:
        dispatcher = Dispatcher(hints, Silent({}), Limits(hints_in_flight_max=1, hints_per_fetch_max=1))
        dispatcher.start()
        await asyncio.wait_for(asked.wait(), 10)
        await dispatcher.close()
        await asyncio.wait_for(hints.all_answered(), 10)
        assert dispatcher.unfinished == 0

    asyncio.run(work())
    assert sorted(hint.sequence for hint in hints.returned) == [1, 2]
    assert hints.acknowledged == []


def test_what_is_known_to_be_decided_is_acknowledged_without_a_turn() -> None:
    hints = ScriptedHints([Hint("a", 1, None), Hint("a", 5, None), Hint("b", 2, None)], [Hint("b", 3, None)])
    host = ScriptedHost({"a": 5})
    host.known = {"a": 4, "b": 3}
    run(hints, host)
    assert host.asked == [("a", 5)]
    assert sorted(hint.sequence for hint in hints.acknowledged) == [1, 2, 3, 5]


def test_hints_in_hand_are_bounded_and_those_that_wait_may_be_decided_meanwhile() -> None:
    hints = ScriptedHints(
        [Hint("a", 1, None), Hint("b", 2, None)], [Hint("c", 3, None), Hint("d", 4, None)], [Hint("e", 5, None)]
    )

    class Held(ScriptedHost):
        async def advance(self, thread: str, hint: int) -> int:
            self.asked.append((thread, hint))
            await gates[thread].wait()
            return hint

    host = Held({})
    gates = {name: asyncio.Event() for name in "abcde"}

    async def until(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - the loop itself is what is waited for
                await asyncio.sleep(0)

    async def work() -> None:
        dispatcher = Dispatcher(hints, host, Limits(), in_hand_max=2)
        dispatcher.start()
        await until(lambda: len(host.asked) == 2)
        for _ in range(20):
            await asyncio.sleep(0)
        assert [thread for thread, _ in host.asked] == ["a", "b"], "more in hand than two hints"
        host.known = {"c": 3}  # another node has taken it on
        gates["a"].set()
        await until(lambda: len(host.asked) == 3)
        assert host.asked[2] == ("d", 4), "one hint is left of the second batch, and there is room for one"
        assert sorted(hint.sequence for hint in hints.acknowledged) == [1, 3]
        assert dispatcher.unfinished == 2
        for gate in gates.values():
            gate.set()
        await asyncio.wait_for(hints.all_answered(), 10)
        await dispatcher.close()
        assert dispatcher.unfinished == 0

    asyncio.run(work())
    assert sorted(hint.sequence for hint in hints.acknowledged) == [1, 2, 3, 4, 5]


def test_a_host_that_closes_under_its_hints_hands_back_each() -> None:
    """A host cancels who waits for it when it closes; that ends the wait for that thread, and nothing else."""
    hints = ScriptedHints([Hint("a", 1, None), Hint("b", 2, None)])

    class Closing(ScriptedHost):
        async def advance(self, thread: str, hint: int) -> int:
            if thread == "a":
                raise asyncio.CancelledError
            await asyncio.sleep(0)
            return hint

    dispatcher = run(hints, Closing({}))
    assert ([hint.sequence for hint in hints.acknowledged], [hint.sequence for hint in hints.returned]) == ([2], [1])
    assert (dispatcher.failures, dispatcher.unfinished) == (0, 0)
