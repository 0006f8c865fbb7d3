"""Goal: a lane that cannot go on says why, by itself and as it is; what is asked of it does not wait for the stream to
deliver it. Method: a stream in memory that is given up, or delivers nothing, for a lane that takes records and for one
that only hears."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from relmachine.errors import Code, RelmError
from relmachine.gates.lane_shape import LaneShape
from relmachine.hosts.lane import ControlLane
from relmachine.kernel.candidate import Message
from relmachine.kernel.envelope import Envelope
from relmachine.kernel.lane import Asked, Effect
from relmachine.kernel.limits import Limits
from relmachine.kernel.outcome_rows import OutboxRow
from relmachine.kernel.state import dump_state, initial_state
from relmachine.kernel.verdicts import Refused
from relmachine.machine.plan import Plan
from relmachine.store.lane import budget_of, effect_at
from relmachine.store.lane import standing as stands
from relmachine.store.sqlite import SqliteStore
from relmachine.stream.delivery import Step
from relmachine.stream.follow import FeedMessage
from relmachine.stream.port import Published
from tests.unit.forks.workshop import Everybody
from tests.unit.runs.incident import machine


class GivenUp:
    """The lane's stream; `records` or `effects` cannot be had any more."""

    def __init__(self, what: str) -> None:
        self._what = what
        self.feeds, self.feed_reader = SimpleNamespace(), self

    async def batches(self) -> AsyncIterator[Sequence[Step]]:
        await self._or_wait("records")
        yield ()

    @asynccontextmanager
    async def follow(self, kind: str) -> AsyncIterator[AsyncIterator[FeedMessage]]:
        yield self._messages()

    async def _messages(self) -> AsyncIterator[FeedMessage]:
        await self._or_wait("effects")
        yield FeedMessage(1, "effect", "t", 1, b"{}")

    async def _or_wait(self, what: str) -> None:
        if what == self._what:
            raise RelmError(Code.UNREACHABLE, f"the {what} are gone")
        await asyncio.Event().wait()


@pytest.mark.parametrize(("what", "takes"), [("records", True), ("effects", True), ("effects", False)])
def test_what_ends_a_lane_is_the_error_that_it_ends_with(what: str, takes: bool) -> None:
    async def work() -> None:
        plan = machine().plan()
        store = SimpleNamespace(store_id="s")
        shape = LaneShape(plan, Limits())
        lane = ControlLane(plan, cast(Any, GivenUp(what)), cast(Any, store), shape, cast(Any, None), takes=takes)
        async with asyncio.timeout(10):
            with pytest.raises(RelmError, match=f"the {what} are gone"):
                await lane.run()

    asyncio.run(work())


@pytest.mark.parametrize("takes", [True, False])
def test_a_message_that_a_process_of_its_own_sent_is_known_to_have_left(tmp_path: Path, takes: bool) -> None:
    async def work() -> None:
        plan = machine().plan()
        store = SqliteStore.open(tmp_path / "s.db", plan)
        await store.control([asked(plan, "t", 7)])
        (row,) = await store.unsent(10)
        stream, gone = GivenUp("nothing"), list[OutboxRow]()

        async def messages() -> AsyncIterator[FeedMessage]:
            yield FeedMessage(1, "effect", "t", 1, row.body.encode(), "another store")
            yield FeedMessage(2, "effect", row.thread, row.seq, row.body.encode(), store.store_id)
            await asyncio.Event().wait()

        stream._messages = messages
        heard = asyncio.Event()
        lane = ControlLane(plan, cast(Any, stream), store, LaneShape(plan, Limits()), cast(Any, None), takes=takes)
        lane.on_sent.append(gone.extend)
        lane.on_effect.append(lambda effect: asyncio.get_running_loop().call_soon(heard.set))
        working = asyncio.create_task(lane.run())
        async with asyncio.timeout(10):
            await heard.wait()
        await store.commit((), gone)
        assert len(await store.unsent(10)) == (1 if takes else 0)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        await store.close()

    asyncio.run(work())


def asked(plan: Plan, thread: str, sequence: int) -> Asked:
    empty = initial_state(plan, thread)
    words = ("pause", "k", '{"reason":"x"}', "{}", "")
    return Asked(thread, sequence, *words, thread, empty.head, dump_state(empty))


class Silent(GivenUp):
    """A stream that takes records and delivers those it is told to; `done_` are the records that are done."""

    def __init__(self) -> None:
        super().__init__("nothing")
        self.feeds = SimpleNamespace(emit=self._emit)
        self.published = 0
        self.done_: list[int] = []
        self.deliveries: asyncio.Queue[Sequence[Step]] = asyncio.Queue()

    async def batches(self) -> AsyncIterator[Sequence[Step]]:
        while True:
            yield await self.deliveries.get()

    async def publish(self, thread: str, body: bytes) -> Published:
        self.published += 1
        return Published(self.published, False)

    async def has_steps(self, thread: str) -> bool:
        return True

    async def done(self, records: Sequence[Step]) -> None:
        self.done_ += [record.message.sequence for record in records]

    async def again(self, records: Sequence[Step]) -> None:
        assert not records

    async def _emit(self, rows: Sequence[OutboxRow]) -> Sequence[OutboxRow]:
        return ()


@dataclass
class Scene:
    """A lane that works, on a store and a stream of its own."""

    lane: ControlLane
    stream: Silent
    store: SqliteStore

    @classmethod
    @asynccontextmanager
    async def opened(cls, folder: Path, *, takes: bool = True) -> AsyncIterator[Scene]:
        plan, stream = machine().plan(), Silent()
        store = SqliteStore.open(folder / "s.db", plan)
        shape, everybody = LaneShape(plan, Limits()), cast(Any, Everybody())
        lane = ControlLane(plan, cast(Any, stream), store.lane(), shape, everybody, takes=takes)
        working = asyncio.create_task(lane.run())
        try:
            async with asyncio.timeout(20):
                yield cls(lane, stream, store)
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
            await store.close()

    async def ask(self, sequence: int, body: bytes, seconds: float = 10.0) -> Effect | Refused | int:
        """Tell `t` something here; the stream has it at `sequence`."""
        self.stream.published = sequence - 1
        return await self.lane.control("t", body, seconds)

    async def deliver(self, sequence: int, body: bytes) -> Effect | None:
        """The stream delivers a record of `t`; returns what came of it, once it is done."""
        done = len(self.stream.done_)
        self.stream.deliveries.put_nowait([Step(Message(sequence, "t", "", body), "token")])
        while len(self.stream.done_) == done:  # noqa: ASYNC110 - `opened` has the deadline
            await asyncio.sleep(0.001)
        return await effect_at(self.store, "t", sequence)


def said(record: str, key: str, **data: object) -> bytes:
    return Envelope(id=key, source="test", type=record, data=data).wire()


@pytest.mark.parametrize("takes", [True, False])
def test_a_record_takes_hold_where_it_was_asked_for_before_it_is_delivered(tmp_path: Path, takes: bool) -> None:
    async def work() -> None:
        async with Scene.opened(tmp_path, takes=takes) as scene:
            bodies = [said("cancel", f"r{place}", reason="x") for place in range(40)]
            seconds = 10.0 if takes else 0.01
            asked = (scene.lane.control(f"t{place}", body, seconds) for place, body in enumerate(bodies))
            effects = [one.outcome if isinstance(one, Effect) else one for one in await asyncio.gather(*asked)]
            assert effects == (["applied"] * 40 if takes else list(range(1, 41)))

    asyncio.run(work())


@pytest.mark.parametrize("takes", [True, False])
def test_data_waits_from_before_the_stream_has_the_record_until_its_effect(tmp_path: Path, takes: bool) -> None:
    async def work() -> None:
        async with Scene.opened(tmp_path, takes=takes) as scene:
            order, publish, on_the_way = scene.store._order, scene.stream.publish, list[bool]()

            async def published(thread: str, body: bytes) -> Published:
                loop = asyncio.get_running_loop()
                late = loop.time() + (5 if takes else 0.05)
                while not order.expected() and loop.time() < late:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
                on_the_way.append(order.expected())
                return await publish(thread, body)

            scene.stream.publish = published  # type: ignore[method-assign]
            await scene.ask(1, said("cancel", "k", reason="x"), 10.0 if takes else 0.01)
            assert on_the_way == [takes], "a lane that only asks is not the one that the store waits for"
            await scene.store.calm()
            assert not order.expected()

    asyncio.run(work())


@pytest.mark.parametrize(
    ("own", "delivered", "outcome", "standing"),
    [
        (said("pause", "own", reason="look"), said("resume", "late"), "unchanged", "paused"),
        (said("resume", "own"), said("pause", "late", reason="look"), "unchanged", "open"),
        (said("budget", "own", tokens=1), said("budget", "late", tokens=2), "unchanged", "open"),
        (said("pause", "key", reason="look"), said("pause", "key", reason="late"), "refused", "paused"),
    ],
)
def test_what_was_asked_for_here_comes_before_what_the_stream_has_before_it(
    tmp_path: Path, own: bytes, delivered: bytes, outcome: str, standing: str
) -> None:
    async def work() -> None:
        async with Scene.opened(tmp_path) as scene:
            assert isinstance(first := await scene.ask(6, own), Effect) and first.control_seq == 6
            late = await scene.deliver(5, delivered)
            assert late is not None and late.outcome == outcome
            assert await stands(scene.store, "t") == standing
            budget = await budget_of(scene.store, "t")
            assert budget is None or (budget[0].tokens, budget[2]) == (1, 6), "the later one"
            assert await scene.deliver(6, own) == first

    asyncio.run(work())


def test_what_finds_no_place_here_is_taken_when_it_is_delivered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relmachine.hosts.lane.OWN_RECORDS_MAX", 1)

    async def work() -> None:
        async with Scene.opened(tmp_path) as scene:
            bodies = {place: said("budget", f"b{place}", tokens=place) for place in (5, 6, 7)}
            async with scene.lane._one_batch:  # one is being taken, one waits, and the third finds no place
                assert [await scene.ask(place, body, 0.01) for place, body in bodies.items()] == [5, 6, 7]
            while await effect_at(scene.store, "t", 6) is None:  # noqa: ASYNC110 - `opened` has the deadline
                await asyncio.sleep(0.001)
            assert await effect_at(scene.store, "t", 7) is None
            assert (found := await scene.deliver(7, bodies[7])) is not None and found.outcome == "applied"

    asyncio.run(work())


def test_what_the_store_did_not_take_here_is_taken_when_it_is_delivered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relmachine.hosts.lane_taking.RETRY_SECONDS", 0.0)

    async def work() -> None:
        async with Scene.opened(tmp_path) as scene:
            body, store = said("pause", "k", reason="look"), scene.lane._taking._store
            asked, told = list[int](), asyncio.Event()

            async def away(records: Sequence[Asked]) -> list[Effect]:
                asked.extend(record.sequence for record in records)
                told.set()
                raise RelmError(Code.UNREACHABLE, "away")

            with monkeypatch.context() as patch:
                patch.setattr(store, "control", away)
                for place, one in ((6, body), (7, said("resume", "next"))):  # the lane takes them in this order
                    told.clear()
                    assert await scene.ask(place, one, 0.01) == place
                    await told.wait()
            assert asked == [6, 7], "what was not delivered does not come again by itself"
            assert (found := await scene.deliver(6, body)) is not None and found.outcome == "applied"

    asyncio.run(work())


def test_one_that_is_delivered_after_it_was_forgotten_has_the_effect_that_it_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relmachine.hosts.lane_heard.HEARD_MAX", 1)

    async def work() -> None:
        async with Scene.opened(tmp_path) as scene:
            pause, resume = said("pause", "p", reason="look"), said("resume", "r")
            first = await scene.ask(6, pause)
            assert isinstance(second := await scene.ask(7, resume), Effect) and second.outcome == "applied"
            assert await scene.deliver(6, pause) == first
            assert await stands(scene.store, "t") == "open"
            assert (await scene.store.select("SELECT count(*) FROM control_effects")).rows == ((2,),)

    asyncio.run(work())


def test_a_thread_that_was_told_too_much_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relmachine.hosts.lane.EFFECTS_PER_THREAD_MAX", 2)

    async def work() -> None:
        async with Scene.opened(tmp_path) as scene:
            first = await scene.ask(1, said("budget", "b", tokens=1))
            await scene.ask(2, said("pause", "p", reason="look"))
            with pytest.raises(RelmError) as full:
                await scene.ask(3, said("budget", "c", tokens=2))
            assert (full.value.code, full.value.witness["effects_per_thread_max"]) == (Code.LIMIT_EXCEEDED, 2)
            assert scene.stream.published == 2, "it was not published"
            again = await scene.ask(3, said("budget", "b", tokens=1))
            assert isinstance(first, Effect) and again == first._replace(outcome="repeated")
            for place, stop in enumerate((said("resume", "r"), said("cancel", "x", reason="enough")), 3):
                assert isinstance(found := await scene.ask(place, stop), Effect) and found.outcome == "applied"
            with pytest.raises(RelmError, match="told so much"):
                await scene.ask(5, said("cancel", "y", reason="again"))

    asyncio.run(work())
