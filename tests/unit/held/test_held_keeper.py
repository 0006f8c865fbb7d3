"""Goal: a step that is held for too long is released by a record, once, whoever publishes it. Method: a keeper with a
clock in hand on a store with held steps, whose records go on the stream of a workshop."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from relmachine.hosts.held_keeper import HeldKeeper
from relmachine.store.held import HeldSteps
from relmachine.stream.port import Outgoing, Published, Publisher
from tests.unit.held.desk import Desk, on_store


class Hand:
    """A clock that is set by hand, and a publisher that is the workshop's stream."""

    def __init__(self, desk: Desk) -> None:
        self.now, self._desk = 0.0, desk
        self.ids: list[str] = []

    async def publish(self, steps: Sequence[Outgoing]) -> Sequence[Published]:
        found: list[Published] = []
        for step in steps:
            duplicate = step.message_id in self.ids
            self.ids.append(step.message_id)
            sequence = 0 if duplicate else self._desk.stream.publish(step.thread, step.step_token, step.body)
            found.append(Published(sequence, duplicate))
        return found

    def keeper(self) -> HeldKeeper:
        steps = HeldSteps(self._desk.store.deciding)
        return HeldKeeper(self._desk.plan, steps, cast(Publisher, self), lambda: self.now)


def test_the_time_of_a_step_is_over_after_its_own_seconds(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        hand = Hand(desk)
        keepers = [hand.keeper(), hand.keeper()]
        short, long = desk.step("t", "check", who="ann"), desk.step("t", "grant")
        await desk.decide()
        for keeper in keepers:
            await keeper.look()
        hand.now = 60.0
        await keepers[0].look()
        assert hand.ids == []
        hand.now = 61.0
        for keeper in (*keepers, keepers[0]):
            await keeper.look()
        assert len(hand.ids) == 2 and len(set(hand.ids)) == 1
        await desk.decide()
        assert await desk.found(short) == ("refused", "held_too_long")
        assert await desk.found(long) == ("held", long)
        hand.now = 3601.0
        await keepers[0].look()
        await desk.decide()
        assert await desk.found(long) == ("refused", "held_too_long")

    on_store(tmp_path, work)


def test_what_waits_in_a_thread_that_ended_is_refused_at_once(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        hand = Hand(desk)
        base = desk.step("t", "note", noted=1)
        await desk.decide()
        desk.fork("u", "t", await desk.head("t"), base)
        held = desk.step("u", "grant")
        await desk.settle()
        desk.merge("t", "u")
        await desk.settle()
        await hand.keeper().look()
        await desk.settle()
        assert await desk.found(held, "u") == ("refused", "thread_closed")

    on_store(tmp_path, work)
