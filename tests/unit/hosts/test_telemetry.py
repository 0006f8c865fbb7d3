"""Goal: telemetry never waits, never raises, has a bound, and counts every message that it drops. Method: one told by
hand, with a sender, an overload and a clock that the test holds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import orjson
import pytest

from relmachine.hosts import telemetry as module
from relmachine.hosts.telemetry import BODY_BYTES_MAX, Telemetry, TelemetryKind
from relmachine.kernel.control_rows import ControlRow
from tests.contract.store_turns import Desk

AT = 1_700_000_000.25


class Line:
    """A stream that keeps what it takes. While `open` is not set it takes its time; `away` takes nothing."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.away = self.crowded = False
        self.asked = 0

    async def send(self, thread: str, body: bytes) -> bool:
        await self.open.wait()
        if self.away:
            return False
        self.taken.append(orjson.loads(body))
        assert self.taken[-1]["thread"] == thread
        return True

    async def overloaded(self) -> bool:
        self.asked += 1
        return self.crowded

    def telemetry(self, waiting_max: int = 3) -> Telemetry:
        return Telemetry(self.send, self.overloaded, waiting_max, lambda: AT)

    @property
    def numbers(self) -> list[int]:
        return [message["number"] for message in self.taken]


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0)


def run(test: Callable[[Line], Coroutine[Any, Any, None]]) -> None:
    async def with_a_line() -> None:
        async with asyncio.timeout(10):
            await test(Line())

    asyncio.run(with_a_line())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - what is waited for has no bell
        await asyncio.sleep(0)


def tell(telemetry: Telemetry, *numbers: int) -> None:
    for number in numbers:
        telemetry.tell("t", TelemetryKind.PASS_MADE, number=number)


def test_what_is_told_is_sent_in_order_with_its_facts_and_time() -> None:
    async def test(line: Line) -> None:
        telemetry = line.telemetry()
        telemetry.start()
        telemetry.tell("t", TelemetryKind.RUN_OPENED, sequence=5, step="propose")
        await until(lambda: telemetry.sent == 1)
        assert line.taken == [
            {
                "thread": "t",
                "kind": "run_opened",
                "at": "2023-11-14T22:13:20.250+00:00",
                "sequence": 5,
                "step": "propose",
            }
        ]
        tell(telemetry, 1, 2, 3)
        await until(lambda: telemetry.sent == 4)
        assert [message.get("number") for message in line.taken] == [None, 1, 2, 3]
        assert telemetry.shed == 0
        await telemetry.close()

    run(test)


def test_beyond_the_bound_the_oldest_is_dropped_and_counted() -> None:
    async def test(line: Line) -> None:
        telemetry = line.telemetry(waiting_max=3)
        tell(telemetry, *range(10))
        assert (telemetry.waiting, telemetry.shed) == (3, 7)
        telemetry.start()
        await until(lambda: telemetry.waiting == 0 and telemetry.sent == 3)
        assert line.numbers == [7, 8, 9]
        await telemetry.close()

    run(test)


def test_a_stream_that_takes_its_time_holds_up_nobody_who_tells() -> None:
    async def test(line: Line) -> None:
        line.open.clear()
        telemetry = line.telemetry(waiting_max=3)
        telemetry.start()
        tell(telemetry, 0)
        await until(lambda: telemetry.waiting == 0)
        tell(telemetry, *range(1, 10))
        assert (telemetry.waiting, telemetry.shed) == (3, 6)
        line.open.set()
        await until(lambda: telemetry.sent == 4)
        assert line.numbers == [0, 7, 8, 9]
        assert telemetry.sent + telemetry.shed == 10
        await telemetry.close()

    run(test)


def test_what_a_stream_that_is_away_does_not_take_is_counted() -> None:
    async def test(line: Line) -> None:
        line.away = True
        telemetry = line.telemetry()
        telemetry.start()
        tell(telemetry, 1, 2)
        await until(lambda: telemetry.shed == 2)
        line.away = False
        tell(telemetry, 3)
        await until(lambda: telemetry.sent == 1)
        assert line.numbers == [3]
        await telemetry.close()

    run(test)


def test_while_the_node_is_overloaded_everything_is_dropped_and_counted() -> None:
    async def test(line: Line) -> None:
        line.crowded = True
        telemetry = line.telemetry()
        telemetry.start()
        tell(telemetry, 1, 2)
        await until(lambda: telemetry.shed == 2)
        assert (telemetry.waiting, line.taken) == (0, [])
        line.crowded = False
        tell(telemetry, 3)
        await until(lambda: line.numbers == [3])
        await telemetry.close()

    run(test)


def test_what_cannot_be_written_is_dropped_and_what_has_no_json_is_told_as_text() -> None:
    async def test(line: Line) -> None:
        telemetry = line.telemetry()
        telemetry.start()
        telemetry.tell("t", TelemetryKind.RUN_ENDED, number=1, text="\ud800")
        telemetry.tell("t", TelemetryKind.RUN_ENDED, number=2, text="x" * BODY_BYTES_MAX)
        telemetry.tell("t", TelemetryKind.RUN_ENDED, number=3, text=TelemetryKind)
        await until(lambda: telemetry.sent + telemetry.shed == 3)
        assert (line.numbers, telemetry.shed) == ([3], 2)
        await telemetry.close()

    run(test)


def test_a_turn_is_told_in_numbers_and_a_control_record_by_name() -> None:
    made = Desk.new()
    turn = made.turn("t", made.steps.admitted("t", "receive"), made.steps.refused("t", "decide"))
    cursor = turn.after.cursor
    record = ControlRow("t", cursor, "_resolve", "key", "{}", "{}")

    async def test(line: Line) -> None:
        telemetry = line.telemetry()
        telemetry.start()
        telemetry.committed([turn, replace(turn, controls=(record,))])
        await until(lambda: telemetry.sent == 3)
        told = [{name: value for name, value in message.items() if name != "at"} for message in line.taken]
        numbers = {"thread": "t", "kind": "turn_committed", "sequence": cursor, "committed": 1, "refused": 1}
        effect = {"thread": "t", "kind": "control_effect", "sequence": cursor, "record": "_resolve"}
        assert told == [numbers, effect, numbers]
        await telemetry.close()

    run(test)


def test_what_waits_when_it_closes_is_counted_and_nothing_is_sent_later() -> None:
    async def test(line: Line) -> None:
        line.open.clear()
        telemetry = line.telemetry()
        telemetry.start()
        tell(telemetry, 1)
        await until(lambda: telemetry.waiting == 0)
        tell(telemetry, 2, 3)
        await telemetry.close()
        assert (telemetry.shed, telemetry.waiting, line.taken) == (3, 0, [])
        tell(telemetry, *range(20))
        assert telemetry.waiting == 3, "it is bounded still"

    run(test)


def test_without_room_nothing_is_told_and_nobody_asked() -> None:
    async def test(line: Line) -> None:
        telemetry = line.telemetry(waiting_max=0)
        telemetry.start()
        tell(telemetry, *range(5))
        for _ in range(20):
            await asyncio.sleep(0)
        assert (telemetry.waiting, telemetry.shed, line.asked) == (0, 5, 0)
        await telemetry.close()

    run(test)
