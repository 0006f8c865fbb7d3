"""Goal: what strangers put on subjects, and rows that cannot travel, hold nobody up.
Method: tests that every stream adapter inherits, on real servers."""

from __future__ import annotations

import orjson
import structlog

from relmachine.kernel.outcome_rows import OutboxRow
from relmachine.machine.plan import Plan
from relmachine.stream.bounds import StreamBounds
from relmachine.stream.connecting import connect
from relmachine.stream.feeds import NatsFeeds
from relmachine.stream.reader import NatsReader
from tests.contract.stream_contract import StreamContract, numbered, row, step, take


class StrangersContract(StreamContract):
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
                    feeds = NatsFeeds(connection, narrow.topology, "store")
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
