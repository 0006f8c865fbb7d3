"""Goal: a turn that reads nothing though a hint names a step asks the stream's leader before the hint goes back, and is
counted when that knows nothing either. Method: a reader whose replica lags behind its leader, by script."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from relmachine.hosts.local import LocalHost
from relmachine.hosts.round_reading import RoundReading
from relmachine.kernel.candidate import Message
from relmachine.kernel.limits import Limits
from relmachine.kernel.state import ThreadState
from tests.contract.host_rounds import ScriptedRounds


@dataclass
class Lagging:
    """A replica that has the stream up to `replica`, its leader up to `leader`: every message is of thread `t`."""

    replica: int
    leader: int
    asked: Sequence[tuple[str, int]] = ()

    async def read_many(
        self, requests: Sequence[tuple[str, int, int]], bytes_max: int | None = None
    ) -> Sequence[Sequence[Message]]:
        return [[message(at) for at in range(after + 1, self.replica + 1)][:limit] for _, after, limit in requests]

    async def first_at_leader(self, requests: Sequence[tuple[str, int]]) -> Sequence[Message | None]:
        self.asked = requests
        return [message(after + 1) if after < self.leader else None for _, after in requests]


def message(sequence: int) -> Message:
    return Message(sequence, "t", "x", b"{}")


def read(reader: Lagging, cursor: int, hinted: Mapping[str, int]) -> tuple[list[int], RoundReading]:
    reading = RoundReading(Limits(), cast(Any, reader))
    states = {"t": cast(ThreadState, type("State", (), {"cursor": cursor, "until": 0}))}
    found = asyncio.run(reading.next_steps(states, hinted, {}))
    return [step.sequence for step in found["t"]], reading


def test_what_a_replica_lacks_is_read_at_the_leader() -> None:
    reader = Lagging(replica=4, leader=6)
    found, reading = read(reader, 4, {"t": 6})
    assert (found, reading.at_leader, reading.in_vain) == ([5], 1, 0)
    assert list(reader.asked) == [("t", 4)]


def test_what_nobody_has_is_counted() -> None:
    found, reading = read(Lagging(replica=4, leader=4), 4, {"t": 6})
    assert (found, reading.at_leader, reading.in_vain) == ([], 1, 1)


def test_the_leader_is_spared_where_something_came_or_nothing_is_known_to_be_there() -> None:
    for reader, hinted in (
        (Lagging(replica=5, leader=6), {"t": 6}),
        (Lagging(replica=4, leader=6), {"t": 4}),
        (Lagging(replica=4, leader=6), {}),
    ):
        _, reading = read(reader, 4, hinted)
        assert (reading.at_leader, reader.asked) == (0, ())


def test_a_host_says_of_each_thread_the_furthest_step_that_it_was_told_of() -> None:
    async def play() -> None:
        rounds = ScriptedRounds({"a": 3, "b": 1})
        rounds.gate.set()
        host = LocalHost(rounds, Limits())
        await asyncio.gather(host.advance("a", 1), host.advance("a", 3), host.advance("b", 1))
        assert rounds.hinted[0] == {"a": 3, "b": 1}
        await host.close()

    asyncio.run(asyncio.wait_for(play(), 10))
