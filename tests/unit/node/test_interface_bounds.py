"""Goal: a store that does not answer keeps no publisher waiting, and only so many wait for outcomes. Method: the
interface with its real gates beside a store and a stream by script."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from typing import Any, cast

import pytest

from relmachine.errors import Code, RelmError
from relmachine.gates.policy import RegoPolicy
from relmachine.gates.shape import ShapeGate
from relmachine.kernel.limits import Limits
from relmachine.node.interface import Interface
from relmachine.observe.port import Accepted
from relmachine.store.port import Receipt, Table
from relmachine.stream.lag import Backlog
from relmachine.stream.port import Outgoing, Published
from tests.contract.store_turns import desk


class Stream:
    """Takes every step; a feed on which nothing ever comes."""

    def __init__(self) -> None:
        self.published: list[Outgoing] = []
        self.publisher = self.lag = self
        self.followed = asyncio.Event()

    async def publish(self, steps: Sequence[Outgoing]) -> Sequence[Published]:
        self.published += steps
        return [Published(len(self.published), False) for _ in steps]

    async def backlog(self) -> Backlog:
        return Backlog(0, 0, 0, 0)

    @contextlib.asynccontextmanager
    async def follow(self, kind: str, thread: str) -> AsyncIterator[AsyncIterator[object]]:
        async def nothing() -> AsyncIterator[object]:
            self.followed.set()
            await asyncio.Event().wait()
            yield

        yield nothing()


class Store:
    """Has decided nothing; `receipts` does what it is told."""

    def __init__(self) -> None:
        self.how: BaseException | asyncio.Event | None = None

    async def receipts(self, keys: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Receipt]:
        if isinstance(self.how, asyncio.Event):
            await self.how.wait()
        elif self.how is not None:
            raise self.how
        return {}

    async def select(self, sql: str, parameters: Sequence[object] = ()) -> Table:
        return Table((), ((1,),) if "json_each" in sql else ())


def run(work: Callable[[Interface, Store, Stream], Coroutine[Any, Any, None]], limits: Limits) -> None:
    async def scenario() -> None:
        plan, store, stream = desk(), Store(), Stream()
        gates = ShapeGate(plan, limits), RegoPolicy(plan.machine)
        await work(Interface(plan, *gates, cast(Any, store), cast(Any, stream), limits), store, stream)

    asyncio.run(asyncio.wait_for(scenario(), 10))


def body(id: str) -> bytes:
    return json.dumps({"specversion": "1.0", "source": "s", "id": id, "type": "receive", "data": {}}).encode()


@pytest.mark.parametrize("how", ["silent", "away"])
def test_a_store_that_does_not_answer_leaves_repeats_to_the_turn(how: str) -> None:
    async def work(interface: Interface, store: Store, stream: Stream) -> None:
        store.how = asyncio.Event() if how == "silent" else RelmError(Code.UNREACHABLE, "start it")
        assert await interface.submit("t", [body("1")]) == [Accepted("t", 1, duplicate=False, key='["s","1"]')]
        assert len(stream.published) == 1
        assert interface.door.undecided == 1

    run(work, Limits(early_look_seconds_max=0.05))


def test_another_error_of_the_store_is_the_publishers_to_know() -> None:
    async def work(interface: Interface, store: Store, stream: Stream) -> None:
        store.how = RelmError(Code.STORE_DAMAGED, "restore it")
        with pytest.raises(RelmError, match="store_damaged"):
            await interface.submit("t", [body("1")])
        assert stream.published == []

    run(work, Limits())


def test_only_so_many_wait_for_outcomes_and_places_are_given_back() -> None:
    async def work(interface: Interface, store: Store, stream: Stream) -> None:
        waiting = [asyncio.create_task(interface.outcome("t", 1, 30)) for _ in range(2)]
        await stream.followed.wait()
        with pytest.raises(RelmError) as refused:
            await interface.outcome("t", 1, 30)
        assert refused.value.code is Code.OVERLOADED
        assert refused.value.witness["outcome_waits_max"] == 2
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert await interface.outcome("t", 1, 0.01) is None

    run(work, Limits(outcome_waits_max=2))
