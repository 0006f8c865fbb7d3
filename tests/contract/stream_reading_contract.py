"""Goal: a thread is read complete and in order, from any cursor.
Method: tests that every stream adapter inherits, on real servers."""

from __future__ import annotations

from relmachine.machine.plan import Plan
from relmachine.stream.port import Outgoing
from tests.contract.stream_contract import StreamContract, numbered, step


class ReadingContract(StreamContract):
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

    def test_the_leader_tells_the_first_message_of_each_thread_above_a_sequence(self, plan: Plan) -> None:
        async def test() -> None:
            async with self.stream(plan) as stream:
                await stream.publisher.publish([step(f"t{n % 3}", n, ("first", "second")[n % 2]) for n in range(30)])
                asked = [("t0", 0), ("t1", 2), ("t2", 29), ("t2", 30), ("nobody", 0)]
                found = await stream.reader.first_at_leader(asked)
                by_replica = [await stream.reader.read(thread, after, 1) for thread, after in asked]
                assert list(found) == [messages[0] if messages else None for messages in by_replica]
                assert [message and message.sequence for message in found] == [1, 5, 30, None, None]

        self.run(test())
