"""Goal: what is published has a place, and one only.
Method: tests that every stream adapter inherits, on real servers."""

from __future__ import annotations

import asyncio

import pytest

from relmachine.errors import Code, RelmError
from relmachine.machine.plan import Plan
from relmachine.stream.port import Outgoing
from tests.contract.stream_contract import StreamContract, numbered, step


class PublishingContract(StreamContract):
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
