"""Goal: a server that dies loses nothing that it acknowledged, and silence is an error.
Method: tests that every stream adapter inherits, on real servers."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence

import orjson
import pytest

from relmachine.errors import Code, RelmError
from relmachine.machine.plan import Plan
from relmachine.stream.bounds import StreamBounds
from relmachine.stream.nats import NatsStream
from relmachine.stream.port import Hint
from tests.contract.stream_contract import StreamContract, follow, numbered, plan_of, row, step, take


class FailuresContract(StreamContract):
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
