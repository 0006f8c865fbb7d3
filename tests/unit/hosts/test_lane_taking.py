"""Goal: each record of the lane is answered on the stream as it should be: done, or to come again. Method: a real store
and a stream that says what it was answered; threads that have yet to come to what was foretold."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from relmachine.errors import Code, RelmError
from relmachine.gates.lane_shape import LaneShape
from relmachine.hosts import lane_taking as module
from relmachine.hosts.foretelling import foretell
from relmachine.hosts.lane_taking import Taking
from relmachine.kernel.candidate import Message
from relmachine.kernel.envelope import Envelope
from relmachine.kernel.lane import Effect
from relmachine.store.sqlite import SqliteStore
from relmachine.stream.delivery import NOT_DELIVERED, Step
from tests.unit.forks.workshop import Everybody
from tests.unit.hosts.test_foretelling import Feed, Shop
from tests.unit.runs.incident import Asked, machine


@dataclass
class Lane:
    """What the stream was answered, by control sequence. `steps` are those of the stream, by sequence."""

    shop: Asked
    done_: list[int] = field(default_factory=list[int])
    again_: list[int] = field(default_factory=list[int])

    async def done(self, records: Sequence[Step]) -> None:
        self.done_ += [record.message.sequence for record in records]

    async def again(self, records: Sequence[Step]) -> None:
        self.again_ += [record.message.sequence for record in records]

    async def has_step(self, thread: str, sequence: int) -> bool:
        return any(message.sequence == sequence for message in self.shop.stream.threads.get(thread, ()))


def record(sequence: int, thread: str, kind: str, **data: object) -> Step:
    body = Envelope(id=f"r{sequence}", source="test", type=kind, data=data).wire()
    return Step(Message(sequence, thread, "", body), "token")


class Scene:
    """A lane on `shop`'s store."""

    def __init__(self, shop: Asked) -> None:
        self.shop, self.lane = shop, Lane(shop)
        shape = LaneShape(shop.plan, shop.limits)
        self.known = set[tuple[str, int]]()
        self.taking = Taking(
            shop.plan,
            cast(Any, self.lane),
            shop.store,
            shape,
            cast(Any, Everybody()),
            lambda *place: place in self.known,
        )

    async def take(self, *records: Step) -> dict[int, str]:
        found: Sequence[Effect] = await self.taking.take(records)
        return {effect.control_seq: effect.outcome for effect in found}


def test_records_of_a_thread_that_is_built_again_come_again(tmp_path: Path) -> None:
    async def work() -> None:
        plan = machine().plan()
        first, again = (SqliteStore.open(tmp_path / f"{name}.db", plan) for name in "ab")
        shop = Shop(plan, first)
        for thread in "tu":
            shop.step(thread, "observe", symptom="slow")
        await shop.settle()
        await shop.tell("t", "pause", reason="look")
        scene = Scene(Asked(plan, again, shop.stream))
        await foretell(plan, again, await Feed.of(first))
        pause, anew = record(1, "t", "pause", reason="look"), record(2, "t", "cancel", reason="late")
        other = record(3, "u", "cancel", reason="now")
        assert await scene.take(pause, anew, other) == {3: "applied"}
        assert (scene.lane.done_, scene.lane.again_) == ([1, 3], [2]), "what is foretold takes hold by itself"
        await scene.shop.rounds.run(["t"])
        assert await scene.take(pause, anew) == {1: "applied", 2: "applied"}
        assert (scene.lane.done_, scene.lane.again_) == ([1, 3, 1, 2], [2])
        await first.close()
        await again.close()

    asyncio.run(work())


def test_a_thread_that_comes_there_meanwhile_loses_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        plan = machine().plan()
        first, again = (SqliteStore.open(tmp_path / f"{name}.db", plan) for name in "ab")
        shop = Shop(plan, first)
        shop.step("t", "observe", symptom="slow")
        await shop.settle()
        await shop.tell("t", "budget", tokens=5)
        scene, looked = Scene(Asked(plan, again, shop.stream)), module.ahead
        await foretell(plan, again, await Feed.of(first))

        async def late(*given: Any) -> set[tuple[str, int]]:
            await scene.shop.rounds.run(["t"])
            return await looked(*given)

        monkeypatch.setattr(module, "ahead", late)
        assert await scene.take(record(2, "t", "cancel", reason="late")) == {2: "applied"}
        assert (scene.lane.done_, scene.lane.again_) == ([2], [])
        await first.close()
        await again.close()

    asyncio.run(work())


def test_a_cancel_of_a_step_that_was_never_published_changes_nothing(tmp_path: Path) -> None:
    async def work() -> None:
        plan = machine().plan()
        store = SqliteStore.open(tmp_path / "s.db", plan)
        scene = Scene(Asked(plan, store))
        scene.shop.step("t", "observe", symptom="slow")
        request = scene.shop.step("t", "propose")
        scene.shop.step("u", "observe", symptom="slow")
        cancels = [record(place, "t", "cancel", reason="x", request=request + place) for place in range(3)]
        assert await scene.take(*cancels) == {0: "applied", 1: "unchanged", 2: "unchanged"}
        await store.close()

    asyncio.run(work())


def test_records_come_again_while_the_store_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.0)

    async def work() -> None:
        plan = machine().plan()
        store = SqliteStore.open(tmp_path / "s.db", plan)
        scene = Scene(Asked(plan, store))

        async def away(asked: object) -> list[Effect]:
            raise RelmError(Code.UNREACHABLE, "away")

        monkeypatch.setattr(store, "control", away)
        assert await scene.take(record(1, "t", "cancel", reason="x")) == {}
        assert (scene.lane.done_, scene.lane.again_) == ([], [1])
        await store.close()

    asyncio.run(work())


def test_what_was_published_here_is_answered_for_when_it_is_delivered(tmp_path: Path) -> None:
    async def work() -> None:
        plan = machine().plan()
        store = SqliteStore.open(tmp_path / "s.db", plan)
        scene = Scene(Asked(plan, store))
        own = replace(record(1, "t", "cancel", reason="x"), token=NOT_DELIVERED)
        assert await scene.take(own) == {1: "applied"}
        assert (scene.lane.done_, scene.lane.again_) == ([], [])
        scene.known.add(("t", 1))
        assert await scene.take(record(1, "t", "cancel", reason="x"), record(2, "t", "cancel", reason="y")) == {
            2: "unchanged"
        }
        assert (scene.lane.done_, scene.lane.again_) == ([1, 2], [])
        await store.close()

    asyncio.run(work())
