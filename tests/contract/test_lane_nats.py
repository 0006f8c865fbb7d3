"""Goal: control records come by a lane of their own, once each store, and their effects are heard everywhere. Method: a
real server, two lanes on one store as two nodes have it, and a login of untrusted publishers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import orjson
import pytest

from relmachine.gates.lane_shape import LaneShape
from relmachine.hosts.lane import ControlLane
from relmachine.kernel.candidate import Candidate
from relmachine.kernel.envelope import Envelope
from relmachine.kernel.lane import Effect
from relmachine.kernel.limits import Limits
from relmachine.kernel.verdicts import Refusal, Refused
from relmachine.store.sqlite import SqliteStore
from relmachine.stream.accounts import accounts
from relmachine.stream.delivery import Step
from relmachine.stream.lane import LaneStream
from relmachine.stream.nats import NatsStream
from relmachine.stream.port import Outgoing
from relmachine.stream.server import NatsServer
from relmachine.stream.topology import Topology, topology
from tests.contract.store_turns import Desk

pytestmark = pytest.mark.process
SECONDS_MAX = 20.0


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = NatsServer(tmp_path_factory.mktemp("nats"))
    asyncio.run(server.start())
    yield server.url
    asyncio.run(server.stop())


class Everything:
    """A policy that allows whatever it is asked."""

    revision = ""

    async def decide(self, steps: Sequence[Candidate]) -> Sequence[Refusal | None]:
        return [None for _ in steps]


def record(kind: str, id: str, **data: object) -> bytes:
    return Envelope(id=id, source="test", type=kind, data=data).wire()


def test_records_reach_the_store_once_and_every_node_hears_of_them(url: str, tmp_path: Path) -> None:
    async def test() -> None:
        made, limits = Desk.new(), Limits()
        store = SqliteStore.open(tmp_path / "s.db", made.plan)
        await store.commit([made.opening("a"), made.opening("b")])
        stream = await NatsStream.open(url, made.plan, store.store_id, limits)
        names = topology(made.plan)
        lanes: list[ControlLane] = []
        heard: list[list[Effect]] = [[], []]
        all_heard = asyncio.Event()
        streams = [await LaneStream.open(url, names, store.store_id, limits) for _ in range(2)]
        stores = [store.lane() for _ in streams]
        for place, records in enumerate(streams):
            lane = ControlLane(made.plan, records, stores[place], LaneShape(made.plan, limits), Everything())
            lane.on_effect.append(heard[place].append)
            lane.on_effect.append(lambda _: all_heard.set() if min(map(len, heard)) == 10 else None)
            lanes.append(lane)
        working = [asyncio.create_task(lane.run()) for lane in lanes]
        async with asyncio.timeout(SECONDS_MAX):
            told = await asyncio.gather(
                *(
                    lanes[place % 2].control("ab"[place % 2], record("pause", f"p{place}", reason="x"), 10.0)
                    for place in range(10)
                )
            )
            again = await lanes[0].control("b", record("pause", "p1", reason="x"), 10.0)
            odd = await lanes[1].control("a", record("dance", "d"), 10.0)
            await all_heard.wait()
        outcomes = sorted(effect.outcome for effect in told if isinstance(effect, Effect))
        assert outcomes == ["applied"] * 2 + ["unchanged"] * 8
        assert isinstance(again, Effect)
        assert again.outcome == "repeated"
        assert isinstance(odd, Refused)
        assert [len({effect[:2] for effect in found}) for found in heard] == [10, 10]
        assert (await store.select("SELECT count(*) FROM control_effects")).rows == ((10,),)
        found = await stream.feed_reader.page("effect", "*", 0)
        assert sorted(orjson.loads(item.body)["control"]["sequence"] for item in found) == sorted(
            effect.control_seq for effect in heard[0]
        )
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)
        for records, lane_store in zip(streams, stores, strict=True):
            await records.close()
            lane_store.close()
        await stream.close()
        await store.close()

    asyncio.run(test())


def test_what_a_node_that_died_had_in_hand_comes_to_another(url: str, tmp_path: Path) -> None:
    async def test() -> None:
        made, limits = Desk.new(), Limits()
        store = SqliteStore.open(tmp_path / "s.db", made.plan)
        await store.commit([made.opening("a")])
        stream = await NatsStream.open(url, made.plan, store.store_id, limits)
        names = topology(made.plan)
        first = await LaneStream.open(url, names, store.store_id, limits)
        published = await first.publish("a", record("cancel", "c", reason="x"))
        async with asyncio.timeout(SECONDS_MAX):
            batch = [step async for step in _until(first, published.sequence)]
            assert batch[-1].message.sequence == published.sequence
            await first.close()  # without an answer
            second = await LaneStream.open(url, names, store.store_id, limits, reclaim=False)
            again = [step async for step in _until(second, published.sequence)]
        assert again[-1].message.body == batch[-1].message.body
        await second.close()
        await stream.close()
        await store.close()

    asyncio.run(test())


async def _until(records: LaneStream, sequence: int) -> AsyncIterator[Step]:
    async for batch in records.batches():
        for step in batch:
            yield step
            if step.message.sequence == sequence:
                return


def test_whether_a_thread_has_steps(url: str, tmp_path: Path) -> None:
    async def test() -> None:
        made, limits = Desk.new(), Limits()
        stream = await NatsStream.open(url, made.plan, "other", limits)
        records = await LaneStream.open(url, topology(made.plan), "other", limits)
        await stream.publisher.publish([Outgoing("t", "note", record("note", "n"), "")])
        assert await records.has_steps("t")
        assert not await records.has_steps("u")
        await records.close()
        await stream.close()

    asyncio.run(test())


def test_publishers_do_not_reach_the_lane() -> None:
    names = Topology("m", {})
    (publishers,) = [account for account in accounts(names) if account.login == "publisher"]
    for subject in (names.control_subject("*"), names.feed_subject("effect", "*")):
        assert not publishers.may_publish(subject)
        assert not publishers.may_hear(subject)
