"""Goal: hints come until they are done, bounded, and no read misses what they promise.
Method: tests that every stream adapter inherits, on real servers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from relmachine.kernel.limits import Limits
from relmachine.machine.plan import Plan
from relmachine.stream.bounds import StreamBounds
from relmachine.stream.port import Hint
from tests.contract.stream_contract import StreamContract, numbered, step, take


class HintsContract(StreamContract):
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

    def test_what_a_living_node_has_in_hand_is_not_told_again_until_it_is_too_long(self, plan: Plan) -> None:
        async def test() -> None:
            bounds = StreamBounds(ack_wait_seconds=0.8, in_hand_seconds_max=2.4)
            async with self.stream(plan, bounds=bounds) as stream:
                await stream.publisher.publish([step("t", n) for n in range(5)])
                began = asyncio.get_running_loop().time()
                batches = stream.hints.batches()
                held = list(await anext(batches))
                while len(held) < 5:
                    held.extend(await anext(batches))
                again = await anext(batches)
                assert asyncio.get_running_loop().time() - began > 2.0, "told again while it was in hand"
                assert {hint.sequence for hint in again} <= {hint.sequence for hint in held}
                await stream.hints.done(held)
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

    def test_a_hint_stays_away_as_long_as_is_said_and_holds_up_no_other(self, plan: Plan) -> None:
        async def test() -> None:
            async with self.stream(plan) as stream:
                loop = asyncio.get_running_loop()
                came: list[tuple[str, float]] = []
                returned = 0.0

                async def turn(hints: Sequence[Hint]) -> None:
                    nonlocal returned
                    came.extend((hint.thread, loop.time()) for hint in hints)
                    parked = [hint for hint in hints if hint.thread == "parked" and not returned]
                    await stream.hints.done([hint for hint in hints if hint not in parked])
                    if parked:
                        returned = loop.time()
                        await stream.hints.again(parked, 1.5)

                listener = asyncio.create_task(take(stream.hints, turn, enough=lambda: len(came) == 3))
                await stream.publisher.publish([step("parked", 1)])
                async with asyncio.timeout(10):
                    while not returned:  # noqa: ASYNC110
                        await asyncio.sleep(0.01)
                await stream.publisher.publish([step("other", 1)])
                await listener
                assert [thread for thread, _ in came] == ["parked", "other", "parked"]
                assert came[2][1] - returned >= 1.4

        self.run(test())
