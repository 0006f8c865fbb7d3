"""Goal: a feed carries every row once and in order, to whoever follows it.
Method: tests that every stream adapter inherits, on real servers."""

from __future__ import annotations

import orjson

from relmachine.kernel.outcome_rows import OutboxRow
from relmachine.machine.plan import Plan
from relmachine.stream.bounds import StreamBounds
from relmachine.stream.frames import TOO_LARGE
from tests.contract.stream_contract import StreamContract, follow, row


class FeedsContract(StreamContract):
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
                assert [message.store for message in page] == ["store", "store", "other", "store"]

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
