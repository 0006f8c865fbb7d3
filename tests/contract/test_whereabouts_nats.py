"""Goal: nodes learn which runs others have in hand, and no more. Method: several lines on one real server, of one store
and of another, each holding runs of its own."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from relmachine.errors import Code, RelmError
from relmachine.stream.connecting import connect
from relmachine.stream.server import NatsServer
from relmachine.stream.topology import Topology
from relmachine.stream.whereabouts import Key, Whereabouts

pytestmark = pytest.mark.process


def test_others_tell_what_they_have_in_hand(tmp_path: Path) -> None:
    async def test() -> None:
        async with AsyncExitStack() as stack:
            server = NatsServer(tmp_path)
            await server.start()
            stack.push_async_callback(server.stop)
            lines: list[Whereabouts] = []
            hands: tuple[set[Key], ...] = ({("t", 1)}, {("t", 2)}, {("t", 3)}, set())
            for number, hand in enumerate(hands):
                connection = await connect(server.url, name=f"line {number}")
                stack.push_async_callback(connection.close)
                line = Whereabouts(connection, Topology("incident", {}), "other" if number == 2 else "store")
                await line.start(lambda key, asker_first, hand=hand: key in hand)
                lines.append(line)
            asked: list[Key] = [("t", 1), ("t", 2), ("t", 3), ("t", 4)]
            for body in (b"", b"what?", b'{"asker":1}'):  # a node that starts tries whether it may ask
                await connection.client.publish(Topology("incident", {}).runs_subject, body)
            assert await lines[0].held(asked) == {("t", 2)}
            assert await lines[1].held(asked) == {("t", 1)}
            assert await lines[3].held(asked) == {("t", 1), ("t", 2)}
            assert await lines[3].held([]) == frozenset()
            await lines[0].close()
            assert await lines[3].held(asked) == {("t", 2)}
            await connection.close()
            with pytest.raises(RelmError) as error:
                await lines[3].held(asked)
            assert error.value.code is Code.UNREACHABLE

    asyncio.run(test())


def test_of_two_that_ask_each_other_one_goes_first(tmp_path: Path) -> None:
    async def test() -> None:
        async with AsyncExitStack() as stack:
            server = NatsServer(tmp_path)
            await server.start()
            stack.push_async_callback(server.stop)
            lines: list[Whereabouts] = []
            for number in range(2):
                connection = await connect(server.url, name=f"line {number}")
                stack.push_async_callback(connection.close)
                line = Whereabouts(connection, Topology("incident", {}), "store")
                await line.start(lambda key, asker_first: not asker_first)
                lines.append(line)
            found = await asyncio.gather(*(line.held([("t", 1)]) for line in lines))
            assert sorted(len(held) for held in found) == [0, 1]

    asyncio.run(test())
