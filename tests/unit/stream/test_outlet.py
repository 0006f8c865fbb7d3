"""Goal: feeds leave whatever becomes of proposed steps, and no step keeps back others. Method: feeds that take all, and
a publisher that finds some steps too large, or is away, as the real one says so: before anything is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import orjson
import pytest

from relmachine.errors import Code, RelmError
from relmachine.kernel.proposal import OutboxRow
from relmachine.stream.outlet import Outlet
from relmachine.stream.port import Outgoing, Published

BYTES_MAX = 1000
FEED = OutboxRow("t", 7, "journal", "{}")


def steps(thread: str, *notes: str) -> OutboxRow:
    """A row that proposes a step for each of `notes`."""
    return OutboxRow(
        thread, 7, "step", orjson.dumps([{"type": "note", "data": {"text": one}} for one in notes]).decode()
    )


class AllFeeds:
    """Takes everything."""

    async def emit(self, rows: Sequence[OutboxRow]) -> Sequence[OutboxRow]:
        assert all(row.kind != "step" for row in rows)
        return rows


class Strict:
    """A publisher that takes what fits, unless it is `away`."""

    def __init__(self, *, away: bool = False) -> None:
        self.away, self.notes = away, list[str]()

    async def publish(self, steps: Sequence[Outgoing]) -> Sequence[Published]:
        if any(len(step.body) > BYTES_MAX for step in steps):
            raise RelmError(Code.PAYLOAD_TOO_LARGE, "send less")
        if self.away:
            raise RelmError(Code.UNREACHABLE, "start the stream")
        self.notes += [orjson.loads(step.body)["data"]["text"] for step in steps]
        return [Published(number, False) for number, _ in enumerate(steps, 1)]

    async def publish_together(self, steps: Sequence[Outgoing]) -> Sequence[Published]:
        return await self.publish(steps)


def emitted(publisher: Strict, *rows: OutboxRow) -> tuple[list[OutboxRow], int]:
    """What left, and how many steps never can."""
    outlet = Outlet(AllFeeds(), publisher)
    return list(asyncio.run(outlet.emit(rows))), outlet.too_large


def test_a_step_that_can_never_leave_keeps_back_nothing() -> None:
    publisher, rows = Strict(), (steps("t", "a", "x" * BYTES_MAX, "b"), FEED, steps("u", "c"))
    left, too_large = emitted(publisher, *rows)
    assert (set(left), too_large) == (set(rows), 1)
    assert publisher.notes == ["a", "b", "c"]


def test_steps_that_fit_leave_together() -> None:
    publisher = Strict()
    assert emitted(publisher, steps("t", "a"), steps("u", "b"), FEED)[1] == 0
    assert publisher.notes == ["a", "b"]


def test_feeds_have_left_though_steps_have_to_wait() -> None:
    assert emitted(Strict(away=True), steps("t", "a"), FEED) == ([FEED], 0)


def test_nothing_left_is_told_to_whoever_sends() -> None:
    with pytest.raises(RelmError) as caught:
        emitted(Strict(away=True), steps("t", "a"))
    assert caught.value.code is Code.UNREACHABLE
