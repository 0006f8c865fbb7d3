"""Goal: a node starts only on a server, an account, a login, streams and a consumer that can keep what it promises, and
says what is wrong otherwise, having changed nothing. Method: real servers with tight configurations, rights taken away
one by one, and settings changed by hand."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest
import structlog
from nats.js.api import ConsumerConfig, RePublish, StreamConsumerLimits, StreamSource

from relmachine.errors import Code, RelmError
from relmachine.kernel.limits import Limits
from relmachine.machine import Machine
from relmachine.machine.plan import Plan
from relmachine.stream import consumers, streams
from relmachine.stream.bounds import StreamBounds
from relmachine.stream.connecting import connect
from relmachine.stream.connection import Connection
from relmachine.stream.description import describe
from relmachine.stream.lane import LaneStream
from relmachine.stream.nats import NatsStream
from relmachine.stream.rights import Right, right_to_make, rights
from relmachine.stream.server import NatsServer
from relmachine.stream.topology import Topology, topology
from tests.contract.nats_by_hand import nats_by_hand
from tests.contract.stream_contract import Note, plan_of, row, step, take

pytestmark = pytest.mark.process

JETSTREAM = 'jetstream { store_dir: "STORE" }\n'
LOGIN = "node:secret@"


def account(limits: str) -> str:
    """A server whose only account has these JetStream limits."""
    return f"{JETSTREAM}accounts {{ A {{ jetstream {{ {limits} }}\nusers [ {{ user: node, password: secret }} ] }} }}\n"


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 30))


async def refused(url: str, plan: Plan, store_id: str = "store", **given: Any) -> RelmError:
    """The error with which a node does not start."""
    with pytest.raises(RelmError) as error:
        await (await NatsStream.open(url, plan, store_id, given.pop("limits", Limits()), **given)).close()
    return error.value


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    connection = await connect(url, name="hand")
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path_factory.mktemp("nats"))
    asyncio.run(server.start())
    yield server
    asyncio.run(server.stop())


@pytest.fixture
def plan() -> Plan:
    return plan_of(f"m{uuid4().hex[:12]}")


# the machine


def machine(name: str, *, reads: bool) -> Plan:
    """Two steps; the second depends on the first only because it reads what the first writes."""
    made = Machine(name)
    total = made.field("total", int, reducer="sum")
    made.step("first", kind="process", writes={"total": "amount"})
    made.process(name="second", reads=[total] if reads else [])(Note)
    return made.plan()


def wide_plan(name: str, steps: int) -> Plan:
    """A plan with a random matrix over many steps: what compresses worst. Only its names and masks are looked at."""
    chance = random.Random(steps)
    names = [f"step_{chance.randrange(16**8):08x}_{n}" for n in range(steps)]
    rows = tuple(chance.getrandbits(steps) | 1 << n for n in range(steps))
    plan = machine(name, reads=True)
    made = tuple(replace(plan.steps[0], name=step, index=n) for n, step in enumerate(names))
    return replace(plan, steps=made, dependent=rows)


async def everything(connection: Connection, names: Topology) -> list[object]:
    """Configuration, state and consumers of each stream."""
    found: list[object] = []
    for stream in names.streams:
        info = await connection.jetstream.stream_info(stream)
        found += [info.config, info.state, sorted(c.name for c in await connection.jetstream.consumers_info(stream))]
    return found


def test_a_machine_with_one_read_less_is_refused_with_the_pair_and_changes_nothing(server: NatsServer) -> None:
    name = f"m{uuid4().hex[:12]}"

    async def test() -> None:
        plan = machine(name, reads=True)
        stream = await NatsStream.open(server.url, plan, "store", Limits())
        await stream.publisher.publish([step("t", 1)])
        await stream.close()
        async with connected(server.url) as hand:
            before = await everything(hand, topology(plan))
            error = await refused(server.url, machine(name, reads=False), "another")
            assert await everything(hand, topology(plan)) == before
        assert error.code is Code.TOPOLOGY_MISMATCH
        assert error.witness["dependent_only_on_the_stream"] == [["first", "second"]]
        assert "dependent_only_in_this_machine" not in error.witness
        assert "first and second are independent in this machine and dependent on the stream" in error.sentence
        expected, found = error.witness["expected"], error.witness["found"]
        assert isinstance(expected, dict) and isinstance(found, dict)
        assert expected["matrix_digest"] != found["matrix_digest"] == plan.matrix_digest

    run(test())


def test_a_machine_with_the_same_matrix_and_other_laws_is_refused_too(server: NatsServer, plan: Plan) -> None:
    async def test() -> None:
        await (await NatsStream.open(server.url, plan, "store", Limits())).close()
        other = plan_of(plan.machine, contest=True)
        assert other.matrix_digest == plan.matrix_digest
        error = await refused(server.url, other)
        assert error.code is Code.TOPOLOGY_MISMATCH
        assert "the same pairs of steps are dependent" in error.sentence

    run(test())


def test_a_matrix_too_large_for_plain_text_is_held_compressed(server: NatsServer) -> None:
    """And one that is too large for that by its digest alone: the server takes both."""

    async def test() -> None:
        for steps, form in ((700, "zlib"), (1500, "digest")):
            wide = wide_plan(f"wide{steps}", steps)
            assert topology(wide).metadata["matrix_form"] == form
            stream = await NatsStream.open(server.url, wide, "store", Limits())
            found = await stream.connection.jetstream.stream_info(stream.topology.steps_stream)
            assert topology(wide).metadata.items() <= (found.config.metadata or {}).items()
            await stream.close()

    run(test())


def test_streams_and_consumer_are_what_is_printed(server: NatsServer, plan: Plan) -> None:
    async def test() -> None:
        stream = await NatsStream.open(server.url, plan, "STORE_ID", Limits())
        lane = await LaneStream.open(server.url, topology(plan), "STORE_ID", Limits())
        described = describe(topology(plan), Limits(), StreamBounds())
        found = stream.connection.jetstream
        for printed in described.streams:
            config = (await found.stream_info(printed.name)).config
            assert streams.promised(config) == printed.settings
            assert printed.metadata.items() <= (config.metadata or {}).items()
        assert len(described.consumers) == 2
        for printed in described.consumers:
            info = await found.consumer_info(printed.stream, printed.name)
            assert consumers.promised(info.config) == printed.settings
            assert [item.name for item in await found.consumers_info(printed.stream)] == [printed.name]
        await lane.close()
        await stream.close()

    run(test())


# the server and the account


@pytest.mark.parametrize(
    ("config", "unfit"),
    [
        pytest.param("", {"jetstream"}, id="server without JetStream"),
        pytest.param(
            f"{JETSTREAM}accounts {{ A {{ users [ {{ user: node, password: secret }} ] }} }}",
            {"jetstream"},
            id="account without JetStream",
        ),
        pytest.param(f"{JETSTREAM}max_payload: 64K", {"max_payload"}, id="short messages"),
        pytest.param(account("max_streams: 2"), {"max_streams"}, id="two streams"),
        pytest.param(account("max_file: 10M"), {"max_storage"}, id="little room"),
        pytest.param(account("max_ack_pending: 100"), {"max_ack_pending"}, id="few hints"),
        pytest.param(account("max_bytes_required: true"), {"max_bytes_required"}, id="bounds required"),
        pytest.param(account("disk_max_stream_bytes: 1G"), {"storage_max_stream_bytes"}, id="streams bounded"),
        pytest.param(account("max_streams: 1, max_file: 1M"), {"max_streams", "max_storage"}, id="two at once"),
    ],
)
def test_a_server_or_an_account_that_cannot_keep_a_promise_is_refused_before_anything_is_made(
    config: str, unfit: set[str], tmp_path: Path, plan: Plan
) -> None:
    async def test(url: str) -> None:
        error = await refused(url, plan)
        assert error.code is Code.STREAM_UNFIT, error
        found = error.witness["unfit"]
        assert isinstance(found, dict)
        assert set(found) == unfit
        assert all(item["needed"] != item["found"] for item in found.values())
        if "jetstream" not in unfit:
            async with connected(url) as hand:
                assert (await hand.jetstream.account_info()).streams == 0

    with nats_by_hand(tmp_path, config) as host:
        run(test(f"nats://{LOGIN if 'accounts' in config else ''}{host}"))


def test_streams_that_are_there_need_no_more_of_the_account(tmp_path: Path, plan: Plan) -> None:
    async def test(url: str) -> None:
        for _ in range(2):
            await (await NatsStream.open(url, plan, "store", Limits())).close()
        error = await refused(url, plan_of("another"))
        assert error.witness["unfit"] == {"max_streams": {"needed": 8, "found": 5}}

    with nats_by_hand(tmp_path, account("max_streams: 5")) as host:
        run(test(f"nats://{LOGIN}{host}"))


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ("limits { max_ack_pending: 50 }", "consumer max ack pending exceeds system limit of 50"),
        ("limits { duplicate_window: 10s }", "duplicates window can not be larger then server limit of 10s"),
    ],
)
def test_a_limit_that_only_the_server_knows_is_told_in_its_words(
    limits: str, words: str, tmp_path: Path, plan: Plan
) -> None:
    with nats_by_hand(tmp_path, f'jetstream {{ store_dir: "STORE", {limits} }}') as host:
        error = asyncio.run(refused(f"nats://{host}", plan))
    assert (error.code, words in error.sentence) == (Code.STREAM_UNFIT, True), error


def test_one_consumer_more_than_the_account_may_have_is_refused(tmp_path: Path, plan: Plan) -> None:
    async def test(url: str) -> None:
        await (await NatsStream.open(url, plan, "one", Limits())).close()
        error = await refused(url, plan, "two")
        assert error.code is Code.STREAM_UNFIT
        assert "maximum consumers limit reached" in error.sentence

    with nats_by_hand(tmp_path, account("max_consumers: 1")) as host:
        run(test(f"nats://{LOGIN}{host}"))


@pytest.mark.parametrize(("version", "starts"), [("2.11.11", False), ("2.12.0", False), ("2.12.1", True)])
def test_a_server_too_old_is_refused(version: str, starts: bool, server: NatsServer, plan: Plan) -> None:
    """The server is the one of the wheel; what it says of itself is changed on the way."""

    async def test() -> None:
        async with older(server.port, version) as url:
            if starts:
                await (await NatsStream.open(url, plan, "store", Limits())).close()
                return
            error = await refused(url, plan)
            assert error.code is Code.STREAM_UNFIT
            assert error.witness["unfit"] == {"version": {"needed": "2.12.1", "found": version}}

    run(test())


@asynccontextmanager
async def older(port: int, version: str) -> AsyncIterator[str]:
    """The address of something that passes everything on, but for the version in the greeting."""
    tasks: set[asyncio.Task[None]] = set()

    async def passed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, out = await asyncio.open_connection("127.0.0.1", port)
        greeting = orjson.loads((await back.readline()).removeprefix(b"INFO "))
        writer.write(b"INFO " + orjson.dumps({**greeting, "version": version}) + b"\r\n")
        tasks.update(asyncio.create_task(passed(*ends)) for ends in ((reader, out), (back, writer)))

    listening = await asyncio.start_server(met, "127.0.0.1", 0)
    try:
        yield f"nats://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


# the login

NEEDED = [*rights(Topology("m", {})), *(right_to_make(stream) for stream in Topology("m", {}).streams)]


def user(name: str, allowed: Sequence[Right]) -> str:
    """A login that may do `allowed` and nothing else."""
    may = {
        action: ", ".join(f'"{right.subject}"' for right in allowed if right.action == action)
        for action in ("publish", "subscribe")
    }
    permissions = ", ".join(f"{action}: {{ allow: [{subjects}] }}" for action, subjects in may.items())
    return f"{{ user: {name}, password: secret, permissions: {{ {permissions} }} }}"


@pytest.fixture(scope="module")
def logins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with a login that has every right, `all`, and for each right one that lacks it, `r0` and on."""
    users = ["{ user: hand, password: secret }", user("all", NEEDED)]
    users += [user(f"r{place}", [*NEEDED[:place], *NEEDED[place + 1 :]]) for place in range(len(NEEDED))]
    config = f"{JETSTREAM}accounts {{ A {{ jetstream: enabled\nusers [\n{chr(10).join(users)}\n] }} }}"
    with nats_by_hand(tmp_path_factory.mktemp("logins"), config) as host:
        yield host


def test_the_rights_that_are_listed_are_enough_for_all_a_node_does(logins: str) -> None:
    async def test() -> None:
        url = f"nats://all:secret@{logins}"
        for _ in range(2):  # the second start finds hints in hand, and makes the consumer anew
            with structlog.testing.capture_logs() as logs:
                stream = await NatsStream.open(url, plan_of("m"), "store", Limits())
                async with stream.follow("journal") as following:
                    await stream.publisher.publish([step("t", n, key=uuid4().hex) for n in range(3)])

                    async def keep(_: object) -> None: ...

                    assert len(await take(stream.hints, keep, count=3)) >= 3
                    assert len(await stream.reader.read("t", 0, 3)) == 3
                    seq = (await stream.lag.backlog()).newest
                    rows = [row("t", seq, kind) for kind in ("journal", "out", "rejected")]
                    assert set(await stream.feeds.emit(rows)) == set(rows)
                    assert (await anext(following)).sequence == seq
                await stream.close()
            assert not [entry for entry in logs if "ermissions" in str(entry)]

    run(test())


@pytest.mark.parametrize("place", [pytest.param(place, id=right.subject) for place, right in enumerate(NEEDED)])
def test_each_right_that_is_missing_is_named(place: int, logins: str) -> None:
    async def test() -> None:
        async with connected(f"nats://hand:secret@{logins}") as hand:
            for stream in await hand.jetstream.streams_info():
                await hand.jetstream.delete_stream(str(stream.config.name))
        error = await refused(f"nats://r{place}:secret@{logins}", plan_of("m"))
        assert error.code is Code.STREAM_UNFIT
        right = NEEDED[place]
        assert error.witness["forbidden"] == [f"{right.action} {right.subject}: {right.why}"]

    run(test())


def test_a_wrong_password_is_told_as_that(logins: str) -> None:
    error = asyncio.run(refused(f"nats://all:wrong@{logins}", plan_of("m")))
    assert error.code is Code.STREAM_UNFIT
    assert "login" in error.sentence
    assert "wrong" not in f"{error} {error.witness}"


def test_trying_the_rights_stores_nothing(server: NatsServer, plan: Plan) -> None:
    async def test() -> None:
        for _ in range(3):
            stream = await NatsStream.open(server.url, plan, "store", Limits())
            for name in stream.topology.streams:
                info = await stream.connection.jetstream.stream_info(name)
                assert (info.state.messages, info.state.last_seq) == (0, 0)
            await stream.close()

    run(test())


# streams and consumer, changed by hand


@pytest.mark.parametrize(
    "changed",
    [
        {"no_ack": True},
        {"max_age": 3600.0},
        {"max_msgs": 1000},
        {"max_bytes": 10_000_000},
        {"max_msgs_per_subject": 10},
        {"max_msg_size": 1000},
        {"max_consumers": 1},
        {"discard": "old"},
        {"duplicate_window": 1.0},
        {"allow_direct": False},
        {"allow_atomic": False},
        {"allow_msg_ttl": True},
        {"subjects": ["relm.{machine}.step.*.*", "elsewhere.{machine}.>"]},
        {"republish": RePublish(src=">", dest="copy.{machine}.>")},
        {"sources": [StreamSource(name="relm_{machine}_feeds")]},
        {"consumer_limits": StreamConsumerLimits(max_ack_pending=50_000)},
    ],
    ids="".join,
)
def test_a_stream_changed_by_hand_is_refused(changed: dict[str, Any], server: NatsServer, plan: Plan) -> None:
    async def test() -> None:
        await (await NatsStream.open(server.url, plan, "store", Limits())).close()
        ((name, value),) = changed.items()
        async with connected(server.url) as hand:
            config = (await hand.jetstream.stream_info(topology(plan).steps_stream)).config
            await hand.jetstream.update_stream(config.evolve(**{name: of_machine(value, plan.machine)}))
        error = await refused(server.url, plan)
        assert error.code is Code.TOPOLOGY_MISMATCH
        drift = error.witness["drift"]
        assert isinstance(drift, dict)
        assert set(drift) == {name}

    run(test())


def of_machine(value: Any, machine: str) -> Any:
    """`value` with the machine's name in its texts."""
    if isinstance(value, str):
        return value.replace("{machine}", machine)
    if isinstance(value, list):
        return [of_machine(item, machine) for item in value]
    if isinstance(value, RePublish | StreamSource):
        texts = {name: of_machine(item, machine) for name, item in vars(value).items() if isinstance(item, str)}
        return value.evolve(**texts)
    return value


@pytest.mark.parametrize(
    "changed",
    [
        {"max_deliver": 3},
        {"filter_subject": "relm.*.step.a.>"},
        {"filter_subjects": ["relm.*.step.a.>", "relm.*.step.b.>"]},
        {"headers_only": True},
        {"max_deliver": 5, "backoff": [1.0, 2.0]},
        {"inactive_threshold": 60.0},
        {"mem_storage": True},
        {"ack_policy": "all"},
        {"replay_policy": "original"},
        {"pause_until": "2999-01-01T00:00:00Z"},
    ],
    ids="-".join,
)
def test_a_consumer_changed_by_hand_is_refused_until_it_is_deleted(
    changed: dict[str, Any], server: NatsServer, plan: Plan
) -> None:
    async def test() -> None:
        stream = await NatsStream.open(server.url, plan, "store", Limits())
        await stream.publisher.publish([step("t", 1), step("u", 2)])
        await stream.close()
        async with connected(server.url) as hand:
            place = (topology(plan).steps_stream, topology(plan).consumer("store"))
            await changed_consumer(hand, place, changed)
            error = await refused(server.url, plan)
            assert error.code is Code.TOPOLOGY_MISMATCH
            assert error.witness["consumer"] == place[1]
            drift = error.witness["drift"]
            assert isinstance(drift, dict)
            assert set(changed) <= set(drift) | {"ack_wait"}, drift
            await hand.jetstream.delete_consumer(*place)
        stream = await NatsStream.open(server.url, plan, "store", Limits())
        assert [hint.sequence for hint in await take(stream.hints, stream.hints.done, count=2)] == [1, 2]
        await stream.close()

    run(test())


async def changed_consumer(hand: Connection, place: tuple[str, str], changed: dict[str, Any]) -> None:
    """Change what a server lets be changed; make the consumer anew for the rest."""
    fixed = {"mem_storage", "ack_policy", "replay_policy", "pause_until"}
    config: ConsumerConfig = (await hand.jetstream.consumer_info(*place)).config.evolve(**changed)
    if fixed & set(changed):
        await hand.jetstream.delete_consumer(*place)
    await hand.jetstream.add_consumer(place[0], config)


@pytest.mark.parametrize(
    ("changed", "limits", "bounds"),
    [
        ({"ack_wait": 1.0}, Limits(), StreamBounds()),
        ({"max_ack_pending": 1}, Limits(), StreamBounds()),
        ({}, Limits(hints_in_flight_max=77), StreamBounds(ack_wait_seconds=8.0)),
    ],
    ids=["ack_wait", "max_ack_pending", "settings of the node"],
)
def test_a_consumer_follows_the_settings_of_its_node(
    changed: dict[str, Any], limits: Limits, bounds: StreamBounds, server: NatsServer, plan: Plan
) -> None:
    async def test() -> None:
        stream = await NatsStream.open(server.url, plan, "store", Limits())
        await stream.publisher.publish([step("t", 1), step("t", 2)])
        await take(stream.hints, stream.hints.done, count=1)
        await stream.close()
        place = (topology(plan).steps_stream, topology(plan).consumer("store"))
        async with connected(server.url) as hand:
            await changed_consumer(hand, place, changed)
            with structlog.testing.capture_logs() as logs:
                await (await NatsStream.open(server.url, plan, "store", limits, bounds, reclaim=False)).close()
            info = await hand.jetstream.consumer_info(*place)
        assert (info.config.ack_wait, info.config.max_ack_pending) == (
            bounds.acknowledged_within(shared=False),
            limits.hints_in_flight_max,
        )
        assert info.delivered is not None
        assert info.delivered.stream_seq == 2, "what was told already is told again"
        assert [entry["event"] for entry in logs if entry["event"] == "consumer_tuned"] == ["consumer_tuned"]

    run(test())
