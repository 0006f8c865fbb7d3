"""Goal: a hint is acknowledged only when its sequence is committed. Method: scripted hints and a scripted host."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

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
        self.answered = asyncio.Condition()

    async def batches(self) -> AsyncIterator[Sequence[Hint]]:
        for batch in self.given:
            yield batch
        await asyncio.Event().wait()

    async def done(self, hints: Sequence[Hint]) -> None:
        async with self.answered:
            self.acknowledged.extend(hints)
            self.answered.notify_all()

    async def again(self, hints: Sequence[Hint]) -> None:
        async with self.answered:
            self.returned.extend(hints)
            self.answered.notify_all()

    async def all_answered(self) -> None:
        expected = sum(map(len, self.given))
        async with self.answered:
            await self.answered.wait_for(lambda: len(self.acknowledged) + len(self.returned) == expected)


class ScriptedHost:
    """Every thread's cursor is fixed; `broken` ones raise. Keeps what was asked."""

    def __init__(self, cursors: dict[str, int], broken: str = "") -> None:
        self.cursors, self.broken = cursors, broken
        self.asked: list[tuple[str, int]] = []

    async def advance(self, thread: str, hint: int) -> int:
        self.asked.append((thread, hint))
        if thread == self.broken:
            raise ConnectionError("store away")
        return self.cursors[thread]

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


def test_a_failed_turn_hands_its_hints_back_and_leaves_others_alone() -> None:
    hints = ScriptedHints([Hint("a", 1, None), Hint("b", 2, None)])
    dispatcher = run(hints, ScriptedHost({"b": 2}, broken="a"))
    assert [hint.thread for hint in hints.returned] == ["a"]
    assert [hint.thread for hint in hints.acknowledged] == ["b"]
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
