"""Goal: what every stream adapter promises its callers. Method: one contract class, run against real servers; each test
has a machine of its own, so that tests share a server and nothing else."""

from __future__ import annotations

import asyncio
import itertools
import random
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from uuid import uuid4

import orjson
import pytest
import structlog
from pydantic import BaseModel

from relmachine.errors import Code, RelmError
from relmachine.kernel.envelope import Message
from relmachine.kernel.limits import Limits
from relmachine.kernel.proposal import OutboxRow
from relmachine.machine import Machine
from relmachine.machine.plan import Plan
from relmachine.stream.bounds import StreamBounds
from relmachine.stream.connecting import connect
from relmachine.stream.feeds import NatsFeeds
from relmachine.stream.follow import FeedMessage
from relmachine.stream.frames import TOO_LARGE
from relmachine.stream.nats import NatsStream
from relmachine.stream.port import Hint, Hints, Outgoing
from relmachine.stream.publisher import message_id
from relmachine.stream.reader import NatsReader

SECONDS_MAX = 30.0


class Note(BaseModel):
    """Payload of every step here."""

    text: str = ""


def plan_of(name: str, *, contest: bool = False) -> Plan:
    """A machine of two steps; with `contest` its laws are others."""
    machine = Machine(name)
    received = machine.claim("received")
    machine.process(name="first", asserts=[received])(Note)
    machine.process(name="second", contests=[received] if contest else [], reads=[received])(Note)
    return machine.plan()


def step(thread: str, number: int, token: str = "first", key: str | None = None) -> Outgoing:
    """Step `number` of `thread`; its key is its number unless given."""
    body = orjson.dumps({"id": key or str(number), "data": {"text": f"{thread} {number}"}})
    return Outgoing(thread, token, body, message_id(thread, body))


def numbered(messages: Sequence[Message]) -> list[str]:
    """The texts of messages, in order."""
    return [orjson.loads(message.body)["data"]["text"] for message in messages]


def row(thread: str, seq: int, kind: str = "journal") -> OutboxRow:
    """An outbox row as a turn writes it."""
    body = {"thread": thread, "to_sequence": seq, "outcomes": [{"at": seq, "outcome": "committed"}]}
    return OutboxRow(thread, seq, kind, orjson.dumps(body).decode())  # type: ignore[arg-type]


async def take(
    hints: Hints,
    act: Callable[[Sequence[Hint]], Awaitable[None]],
    *,
    count: int = 0,
    enough: Callable[[], bool] | None = None,
) -> list[Hint]:
    """Hints, each batch given to `act`, until there are `count` of them, or `enough` says so."""
    taken: list[Hint] = []
    batches = hints.batches()
    async for batch in batches:
        taken.extend(batch)
        await act(batch)
        if enough() if enough else len(taken) >= count:
            break
    await batches.aclose()  # type: ignore[attr-defined]
    return taken


async def follow(messages: AsyncIterator[FeedMessage], count: int) -> list[tuple[str, int]]:
    """(thread, sequence) of the next `count` messages of a feed."""
    taken: list[tuple[str, int]] = []
    async for message in messages:
        taken.append((message.thread, message.sequence))
        if len(taken) == count:
            break
    return taken


class StreamContract(ABC):
    """Subclasses say where the server is and how to hurt it."""

    @abstractmethod
    def url(self) -> str:
        """Address of the running server."""

    @abstractmethod
    async def crash_and_return(self) -> None:
        """kill -9 the server and start it again on the same data."""

    @abstractmethod
    async def send_raw(self, *lines: bytes) -> None:
        """Send protocol lines to the server as a stranger may, and return once it has read them."""

    def run(self, test: Coroutine[object, object, None]) -> None:
        """Run an asynchronous test with a deadline."""
        asyncio.run(asyncio.wait_for(test, SECONDS_MAX))

    @asynccontextmanager
    async def stream(
        self,
        plan: Plan,
        store_id: str = "store",
        limits: Limits | None = None,
        bounds: StreamBounds | None = None,
    ) -> AsyncIterator[NatsStream]:
        """An opened stream, closed whatever happens."""
        stream = await NatsStream.open(self.url(), plan, store_id, limits or Limits(), bounds)
        try:
            yield stream
        finally:
            await stream.close()

    @pytest.fixture
    def plan(self) -> Plan:
        return plan_of(f"m{uuid4().hex[:12]}")

    # publishing and reading

    def test_a_thread_reads_in_the_order_it_was_published_from_any_cursor(self, plan: Plan) -> None:
        async def test() -> None:
            async with self.stream(plan) as stream:
                steps = [step(f"t{n % 7}", n, ("first", "second")[n % 2]) for n in range(2300)]
                published = await stream.publisher.publish(steps)
                assert [item.sequence for item in published] == list(range(1, 2301))
                assert not any(item.duplicate for item in published)
                mine = [f"t3 {n}" for n in range(2300) if n % 7 == 3]
                places = [item.sequence for n, item in enumerate(published) if n % 7 == 3]
                everything = await stream.reader.read("t3", 0, 1000)
                assert numbered(everything) == mine
                assert [message.sequence for message in everything] == places
                assert {message.step_token for message in everything} == {"first", "second"}
                for cut in (1, 5, 200, len(places) - 1, len(places)):
                    after = places[cut - 1]
                    assert numbered(await stream.reader.read("t3", after, 1000)) == mine[cut:]
                    assert numbered(await stream.reader.read("t3", after, 3)) == mine[cut : cut + 3]
                assert await stream.reader.read("nobody", 0, 10) == ()

        self.run(test())

    def test_many_threads_are_read_together_each_complete(self, plan: Plan) -> None:
        async def test() -> None:
            async with self.stream(plan) as stream:
                await stream.publisher.publish([step(f"t{n % 300}", n) for n in range(1500)])
                requests = [(f"t{k}", 0, 2 if k % 2 else 100) for k in range(300)]
                answers = await stream.reader.read_many(requests)
                for k, messages in enumerate(answers):
                    expected = [f"t{k} {n}" for n in range(k, 1500, 300)]
                    assert numbered(messages) == (expected[:2] if k % 2 else expected)

        self.run(test())

    def test_a_read_longer_than_one_answer_may_be_is_complete(self, plan: Plan) -> None:
        async def test() -> None:
            async with self.stream(plan) as stream:
                body = b"x" * 200_000
                steps = [Outgoing("t", "first", body, f"{n}") for n in range(60)]
                await stream.publisher.publish(steps)
                assert len(await stream.reader.read("t", 0, 1000)) == 60

        self.run(test())

    def test_concurrent_publishers_keep_their_own_order_and_learn_their_sequences(self, plan: Plan) -> None:
        async def test() -> None:
            async with self.stream(plan) as stream:
                groups = [[step(f"t{g}", n) for n in range(400)] for g in range(5)]
                singles = [stream.publisher.publish([step("single", n)]) for n in range(200)]
                answers = await asyncio.gather(*(stream.publisher.publish(group) for group in groups), *singles)
                told = [item.sequence for answer in answers for item in answer]
                assert sorted(told) == list(range(1, 2201))
                for g, answer in enumerate(answers[:5]):
                    read = await stream.reader.read(f"t{g}", 0, 1000)
                    assert numbered(read) == [f"t{g} {n}" for n in range(400)]
                    assert [message.sequence for message in read] == [item.sequence for item in answer]

        self.run(test())

    def test_the_same_message_again_is_the_same_place_and_another_payload_is_not(self, plan: Plan) -> None:
        async def test() -> None:
            async with self.stream(plan) as stream:
                steps = [step("t", n) for n in range(50)]
                first = await stream.publisher.publish(steps)
                again = await stream.publisher.publish(steps)
                assert [item.sequence for item in again] == [item.sequence for item in first]
                assert all(item.duplicate for item in again)
                mixed = await stream.publisher.publish([*steps[:3], step("t", 50), step("t", 51)])
                assert [item.duplicate for item in mixed] == [True, True, True, False, False]
                twice = await stream.publisher.publish([step("t", 60), step("t", 60), step("t", 61)])
                assert [item.duplicate for item in twice] == [False, True, False]
                other = step("t", 99, key="1")
                assert (await stream.publisher.publish([other]))[0].duplicate is False
                expected = [f"t {n}" for n in (*range(50), 50, 51, 60, 61, 99)]
                assert numbered(await stream.reader.read("t", 0, 100)) == expected

        self.run(test())

    def test_two_mebibytes_are_refused_before_anything_is_sent(self, plan: Plan) -> None:
        async def test() -> None:
            async with self.stream(plan) as stream:
                big = Outgoing("t", "first", b"x" * 2 * 1024 * 1024, "big")
                with pytest.raises(RelmError) as refused:
                    await stream.publisher.publish([step("t", 1), big])
                assert refused.value.code is Code.PAYLOAD_TOO_LARGE
                assert await stream.reader.read("t", 0, 10) == ()

        self.run(test())

    # hints

    def test_hints_come_in_order_and_what_is_done_never_comes_again(self, plan: Plan) -> None:
        async def test() -> None:
            async with self.stream(plan) as stream:
                await stream.publisher.publish([step(f"t{n % 9}", n) for n in range(3000)])
                hints = await take(stream.hints, stream.hints.done, count=3000)
                assert [hint.sequence for hint in hints] == list(range(1, 3001))
                assert hints[10].thread == f"t{10 % 9}"
            async with self.stream(plan) as stream:
                await stream.publisher.publish([step("t", 3000)])
                assert [hint.sequence for hint in await take(stream.hints, stream.hints.done, count=1)] == [3001]

        self.run(test())

    def test_a_hint_handed_back_or_left_behind_comes_again(self, plan: Plan) -> None:
        async def test() -> None:
            async with self.stream(plan) as stream:
                await stream.publisher.publish([step("t", n) for n in range(4)])
                assert len(await take(stream.hints, stream.hints.again, count=4)) == 4
                back = await take(stream.hints, stream.hints.done, count=4)
                assert sorted(hint.sequence for hint in back) == [1, 2, 3, 4]
                await stream.publisher.publish([step("t", n) for n in range(4, 8)])

                async def keep(_: Sequence[Hint]) -> None:
                    pass

                await take(stream.hints, keep, count=4)
            async with self.stream(plan) as stream:
                left = await take(stream.hints, stream.hints.done, count=4)
                assert [hint.sequence for hint in left] == [5, 6, 7, 8]

        self.run(test())

    def test_a_fresh_store_is_fed_from_the_beginning(self, plan: Plan) -> None:
        async def test() -> None:
            async with self.stream(plan, "old") as stream:
                await stream.publisher.publish([step("t", n) for n in range(20)])
                await take(stream.hints, stream.hints.done, count=20)
            async with self.stream(plan, "fresh") as stream:
                hints = await take(stream.hints, stream.hints.done, count=20)
                assert [hint.sequence for hint in hints] == list(range(1, 21))

        self.run(test())

    def test_unacknowledged_hints_are_bounded(self, plan: Plan) -> None:
        async def test() -> None:
            limits = Limits(hints_in_flight_max=10, hints_per_fetch_max=4)
            async with self.stream(plan, limits=limits) as stream:
                await stream.publisher.publish([step("t", n) for n in range(30)])
                held: list[Hint] = []
                batches = stream.hints.batches()
                while len(held) < 10:
                    batch = await anext(batches)
                    assert len(batch) <= 4
                    held.extend(batch)
                more = asyncio.ensure_future(anext(batches))
                _, waiting = await asyncio.wait([more], timeout=0.3)
                assert waiting, "an eleventh hint came while ten were in hand"
                await stream.hints.done(held)
                assert (await more)[0].sequence == 11
                await batches.aclose()  # type: ignore[attr-defined]

        self.run(test())

    def test_a_single_hint_comes_at_once_and_close_ends_the_iterator(self, plan: Plan) -> None:
        async def test() -> None:
            async with self.stream(plan) as stream:
                loop, arrived = asyncio.get_running_loop(), asyncio.Queue[float]()

                async def listen() -> None:
                    async for batch in stream.hints.batches():
                        await stream.hints.done(batch)
                        arrived.put_nowait(loop.time())

                listener = asyncio.create_task(listen())
                waits: list[float] = []
                for n in range(20):
                    sent = loop.time()
                    await stream.publisher.publish([step("t", n)])
                    waits.append(await arrived.get() - sent)
                assert sorted(waits)[10] < 0.1, waits
                await stream.hints.close()
                await asyncio.wait_for(listener, 5)

        self.run(test())

    def test_reads_after_hints_are_complete_though_the_node_keeps_only_what_is_undone(self, plan: Plan) -> None:
        async def test() -> None:
            async with self.stream(plan) as stream:
                cursors: dict[str, int] = {}
                read: dict[str, list[str]] = {}
                random_order = random.Random(7)

                async def turn(hints: Sequence[Hint]) -> None:
                    threads = sorted({hint.thread for hint in hints})
                    random_order.shuffle(threads)
                    requests = [(thread, cursors.get(thread, 0), 5) for thread in threads]
                    for thread, messages in zip(threads, await stream.reader.read_many(requests), strict=True):
                        read.setdefault(thread, []).extend(numbered(messages))
                        if messages:
                            cursors[thread] = messages[-1].sequence
                    await stream.hints.done([hint for hint in hints if hint.sequence <= cursors[hint.thread]])
                    await stream.hints.again([hint for hint in hints if hint.sequence > cursors[hint.thread]])

                expected = {f"t{k}": [f"t{k} {n}" for n in range(900) if n % 13 == k] for k in range(13)}
                listener = asyncio.create_task(take(stream.hints, turn, enough=lambda: read == expected))
                for start in range(0, 900, 300):
                    await stream.publisher.publish([step(f"t{n % 13}", n) for n in range(start, start + 300)])
                await listener

        self.run(test())

    # feeds

    def test_feeds_carry_each_row_once_in_order_however_often_it_is_emitted(self, plan: Plan) -> None:
        async def test() -> None:
            rows = [row(f"t{n % 5}", n, kind) for n in range(1, 101) for kind in ("journal", "out", "rejected")]
            async with self.stream(plan) as stream:
                assert len(await stream.feeds.emit(rows[:150])) == 150
                assert len(await stream.feeds.emit(rows[:150])) == 150
            async with self.stream(plan) as stream:  # a new process: nothing is remembered
                assert sorted(await stream.feeds.emit(rows[90:])) == sorted(rows[90:])
                for kind in ("journal", "out", "rejected"):
                    page = await stream.feed_reader.page(kind, "*", 0, 1000)
                    by_thread = {f"t{k}": [m.sequence for m in page if m.thread == f"t{k}"] for k in range(5)}
                    assert by_thread == {f"t{k}": [n for n in range(1, 101) if n % 5 == k] for k in range(5)}

        self.run(test())

    def test_a_lost_acknowledgement_does_not_double_a_row(self, plan: Plan) -> None:
        async def test() -> None:
            async with self.stream(plan) as ours, self.stream(plan, "other") as theirs:
                await ours.feeds.emit([row("t", 1), row("t", 2)])
                await theirs.feeds.emit([row("t", 3)])  # stored, and `ours` never heard of it
                assert len(await ours.feeds.emit([row("t", 3), row("t", 4)])) == 2
                page = await ours.feed_reader.page("journal", "t", 0)
                assert [message.sequence for message in page] == [1, 2, 3, 4]

        self.run(test())

    def test_a_frame_too_large_for_the_wire_says_so_and_does_not_hold_up_the_feed(self, plan: Plan) -> None:
        async def test() -> None:
            async with self.stream(plan) as stream:
                body = orjson.dumps({"thread": "t", "to_sequence": 1, "rejections": ["x" * 2_000_000]}).decode()
                rows = [OutboxRow("t", 1, "rejected", body), row("t", 2, "rejected")]
                assert len(await stream.feeds.emit(rows)) == 2
                page = await stream.feed_reader.page("rejected", "t", 0)
                told = {"truncated": True, "bytes": len(body), "sentence": TOO_LARGE}
                assert orjson.loads(page[0].body) == {"thread": "t", "to_sequence": 1, **told}
                assert page[1].sequence == 2
                assert stream.status()["feed_rows_too_large"] == 1

        self.run(test())

    def test_followers_see_all_from_a_position_and_live_without_a_gap(self, plan: Plan) -> None:
        async def test() -> None:
            async with self.stream(plan) as stream:
                await stream.feeds.emit([row(f"t{n % 2}", n) for n in range(1, 301)])
                position = (await stream.feed_reader.page("journal", "*", 0, 100))[-1].position
                async with (
                    stream.follow("journal", after=position) as late,
                    stream.follow("journal", "t1") as live,
                    stream.follow("journal", "t1", after=0, from_sequence=298) as from_sequence,
                ):
                    await stream.feeds.emit([row(f"t{n % 2}", n) for n in range(301, 311)])
                    assert await follow(late, 210) == [(f"t{n % 2}", n) for n in range(101, 311)]
                    assert await follow(live, 5) == [("t1", n) for n in range(301, 311, 2)]
                    assert await follow(from_sequence, 6) == [("t1", n) for n in range(299, 311, 2)]

        self.run(test())

    def test_a_follower_that_falls_behind_reads_what_it_could_not_keep(self, plan: Plan) -> None:
        async def test() -> None:
            async with (
                self.stream(plan, bounds=StreamBounds(watched_frames_max=3)) as stream,
                stream.follow("journal") as messages,
            ):
                await stream.feeds.emit([row("t", n) for n in range(1, 41)])
                assert await follow(messages, 40) == [("t", n) for n in range(1, 41)]

        self.run(test())

    # strangers

    def test_a_subject_that_no_thread_can_own_is_put_aside_once_and_counted(self, plan: Plan) -> None:
        odd = [b"\xff\xfe", b"a\x0bb", b"a\x0cb", b"a\rb", b"*", b">", b"x" * 2000]

        async def test() -> None:
            async with self.stream(plan) as stream:
                await stream.publisher.publish([step("t", 0)])
                subjects = [b"relm.%s.step.%s.first" % (plan.machine.encode(), thread) for thread in odd]
                await self.send_raw(*(b"PUB %s 2\r\nhi\r\n" % subject for subject in subjects))
                await stream.publisher.publish([step("t", n) for n in range(1, 3)])
                with structlog.testing.capture_logs() as logs:
                    hints = await take(stream.hints, stream.hints.done, count=3)
                assert [(hint.thread, hint.sequence) for hint in hints] == [("t", 1), ("t", 9), ("t", 10)]
                assert stream.status()["unaddressable"] == len(odd)
                said = [entry for entry in logs if entry["event"] == "messages_unaddressable"]
                assert said[0]["first"] == rf"relm.{plan.machine}.step.\xff\xfe.first"
                assert sum(entry["count"] for entry in said) == len(odd)
                assert numbered(await stream.reader.read("t", 0, 10)) == ["t 0", "t 1", "t 2"]
            async with self.stream(plan) as stream:
                await stream.publisher.publish([step("t", 3)])
                assert [hint.sequence for hint in await take(stream.hints, stream.hints.done, count=1)] == [11]
                assert stream.status()["unaddressable"] == 0

        self.run(test())

    def test_a_thread_gets_every_message_on_its_subject_whatever_a_stranger_put_there(self, plan: Plan) -> None:
        headers = [
            b"x",
            b"\r\n\r\n",
            b"NATS/1.0 \xff\xff\xff\r\n\r\n",
            b"NATS/1.0\r\n\xff: \xff\r\n\r\n",
            b"NATS/1.0\r\nStatus: 404\r\nNats-Sequence: 999\r\nNats-Last-Sequence: 7\r\n\r\n",
            b"NATS/1.0\r\nStatus: 204\r\nDescription: EOB\r\n\r\n",
        ]

        async def test() -> None:
            async with self.stream(plan) as stream:
                here = b"relm.%s.step.t" % plan.machine.encode()
                lines = [b"HPUB %s.first %d %d\r\n%sx\r\n" % (here, len(item), len(item) + 1, item) for item in headers]
                await self.send_raw(*lines, b"PUB %s.\xff 1\r\nx\r\n" % here)
                await stream.publisher.publish([step("t", 1)])
                sequences = list(range(1, len(headers) + 3))
                hints = await take(stream.hints, stream.hints.again, count=len(sequences))
                assert [hint.sequence for hint in hints] == sequences
                kept = await stream.reader.read("t", 0, 100)
                assert [message.sequence for message in kept] == sequences
                assert [message.step_token for message in kept] == [*["first"] * len(headers), "\ufffd", "first"]
                stored = NatsReader(stream.connection, stream.topology)
                assert await stored.read("t", 0, 100) == kept

        self.run(test())

    def test_a_row_that_cannot_travel_holds_up_nobody_else(self, plan: Plan) -> None:
        async def test() -> None:
            async with self.stream(plan) as stream:
                stuck = [row("x" * 4000, 1), row("a\x0bb", 1)]
                good = [row("t", 1), row("u", 1), row("t", 2)]
                assert set(await stream.feeds.emit([*stuck, *good])) == set(good)
                assert stream.connection.generation == 0, "the connection was lost"
                assert (stream.status()["feed_rows_not_taken"], stream.status()["feed_subjects_held"]) == (2, 2)
                assert await stream.feeds.emit([*stuck, row("t", 3)]) == [row("t", 3)]
                assert stream.status()["feed_rows_not_taken"] == 2, "it was tried again at once"

        self.run(test())

    def test_a_row_that_the_server_refuses_waits_alone(self, plan: Plan) -> None:
        async def test() -> None:
            async with self.stream(plan, bounds=StreamBounds(message_bytes_max=2048)) as narrow:
                connection = await connect(self.url(), name="wide")
                try:
                    feeds = NatsFeeds(connection, narrow.topology)
                    large = OutboxRow("t", 1, "out", orjson.dumps({"thread": "t", "text": "x" * 3000}).decode())
                    good = [row("u", n, "out") for n in range(1, 4)]
                    before = connection.client.stats["out_msgs"]
                    with structlog.testing.capture_logs() as logs:
                        assert list(await feeds.emit([large, row("t", 2, "out"), *good])) == good
                    assert connection.client.stats["out_msgs"] - before < 8, "it was tried again at once"
                    assert [entry["thread"] for entry in logs if entry["event"] == "feed_row_not_taken"] == ["t"]
                    assert (feeds.refused, feeds.held) == (1, 1)
                finally:
                    await connection.close()

        self.run(test())

    def test_a_strangers_message_on_a_feed_is_no_row(self, plan: Plan) -> None:
        async def test() -> None:
            async with self.stream(plan) as stream:
                subject = stream.topology.feed_subject("journal", "t")
                header = b"NATS/1.0\r\nRelm-Sequence: many\r\n\r\n"
                line = b"HPUB %s %d %d\r\n%sx\r\n" % (subject.encode(), len(header), len(header) + 1, header)
                await self.send_raw(line)
                assert await stream.feeds.emit([row("t", 1)]) == [row("t", 1)]
                assert [m.sequence for m in await stream.feed_reader.page("journal", "t", 0)] == [0, 1]

        self.run(test())

    # failures

    def test_a_read_loop_that_ends_is_unreachable_and_not_silence(self, plan: Plan) -> None:
        async def test() -> None:
            async with self.stream(plan) as stream:

                async def broken(*_: object) -> None:
                    raise RuntimeError("broken on purpose")

                stream.connection.client._process_msg = broken  # type: ignore[method-assign]
                await stream.publisher.publish([step("t", 1)])
                with pytest.raises(RelmError) as refused:
                    await take(stream.hints, stream.hints.done, count=1)
                assert refused.value.code is Code.UNREACHABLE
                assert "broken on purpose" in str(refused.value.witness["detail"])
                assert stream.status()["state"] == "unreachable"
                with pytest.raises(RelmError):
                    await stream.reader.read("t", 0, 1)

        self.run(test())

    def test_a_follower_reads_what_was_announced_while_it_was_away(self, plan: Plan) -> None:
        async def test() -> None:
            slow = StreamBounds(reconnect_wait_seconds=2.0)
            async with self.stream(plan, bounds=slow) as stream, stream.follow("journal") as messages:
                await stream.feeds.emit([row("t", 1)])
                await self.crash_and_return()
                async with self.stream(plan, "other") as other:
                    await other.feeds.emit([row("t", 2), row("u", 3)])
                assert not stream.connection.usable, "it was there to hear the announcement"
                assert sorted(await follow(messages, 3)) == [("t", 1), ("t", 2), ("u", 3)]

        self.run(test())

    def test_nothing_acknowledged_is_missing_after_the_server_was_killed_in_mid_publish(self, plan: Plan) -> None:
        async def test() -> None:
            async with self.stream(plan) as stream:
                told: dict[str, list[int]] = {}
                marks = [20, 60]  # how far every publisher has got when the server dies
                numbers = {f"t{k}": itertools.count() for k in range(4)}
                crashed, busy = asyncio.Event(), asyncio.Event()

                async def publish(threads: Sequence[str], size: int) -> None:
                    rounds = 0
                    while not crashed.is_set() or rounds < 3:
                        steps = [step(thread, next(numbers[thread])) for _ in range(size) for thread in threads]
                        for item, place in zip(steps, await stream.publisher.publish(steps), strict=True):
                            told.setdefault(item.thread, []).append(place.sequence)
                        if marks and min(len(told.get(thread, [])) for thread in numbers) > marks[0]:
                            busy.set()
                        rounds += crashed.is_set()

                followed = asyncio.create_task(self._follow_until(stream, crashed))
                publishers = [asyncio.create_task(publish(*a)) for a in ((["t0", "t1"], 20), (["t2"], 1), (["t3"], 3))]
                while marks:
                    busy.clear()
                    await busy.wait()
                    marks.pop(0)
                    await self.crash_and_return()
                crashed.set()
                await asyncio.gather(*publishers)
                await followed
                for thread, places in told.items():
                    read = await stream.reader.read(thread, 0, 100_000)
                    assert [message.sequence for message in read] == places
                    assert numbered(read) == [f"{thread} {n}" for n in range(len(places))]
                hints: set[int] = set()

                async def done(batch: Sequence[Hint]) -> None:
                    hints.update(hint.sequence for hint in batch)
                    await stream.hints.done(batch)

                expected = {place for places in told.values() for place in places}
                await take(stream.hints, done, enough=lambda: hints >= expected)
                assert hints == expected

        self.run(test())

    async def _follow_until(self, stream: NatsStream, crashed: asyncio.Event) -> None:
        """A follower and a feed writer that live through the crash: each row comes, once and in order."""
        async with stream.follow("journal", "f") as messages:
            sequence = 0
            while not crashed.is_set() or sequence < 50:
                sequence += 1
                left = [row("f", sequence)]
                while left:
                    try:
                        sent = await stream.feeds.emit(left)
                    except RelmError as error:
                        assert error.code is Code.UNREACHABLE
                        continue
                    left = [item for item in left if item not in sent]
                assert await follow(messages, 1) == [("f", sequence)]

    def test_hints_in_hand_survive_a_crash_of_the_server(self, plan: Plan) -> None:
        async def test() -> None:
            async with self.stream(plan) as stream:
                await stream.publisher.publish([step("t", n) for n in range(10)])

                async def first_half(batch: Sequence[Hint]) -> None:
                    await stream.hints.done([hint for hint in batch if hint.sequence <= 5])

                await take(stream.hints, first_half, count=10)
                await self.crash_and_return()
                seen: set[int] = set()

                async def done(batch: Sequence[Hint]) -> None:
                    seen.update(hint.sequence for hint in batch)
                    await stream.hints.done(batch)

                await take(stream.hints, done, enough=lambda: seen >= {6, 7, 8, 9, 10})

        self.run(test())

    def test_streams_of_other_laws_are_refused(self, plan: Plan) -> None:
        async def test() -> None:
            async with self.stream(plan):
                pass
            other = plan_of(plan.machine, contest=True)
            with pytest.raises(RelmError) as refused:
                async with self.stream(other):
                    pass
            assert refused.value.code is Code.TOPOLOGY_MISMATCH
            witness = orjson.loads(orjson.dumps(dict(refused.value.witness)))
            assert witness["expected"]["laws_digest"] == other.laws_digest
            assert witness["found"]["laws_digest"] == plan.laws_digest
            assert witness["found"]["matrix_digest"] == plan.matrix_digest

        self.run(test())
