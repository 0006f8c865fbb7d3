"""Goal: whoever is not trusted can publish steps and nothing else, and what `relm check --topology` says of accounts is
what servers do. Method: a real server with the generated configuration; every subject tried with every login; requests,
reply subjects and headers that a stranger would try."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import pytest
from nats.aio.msg import Msg

from relmachine.cluster.logins import Logins
from relmachine.cluster.nats_config import NatsLimits, NatsMember, nats_config
from relmachine.kernel.control import RECORDS
from relmachine.kernel.limits import Limits
from relmachine.machine.plan import Plan
from relmachine.stream.accounts import LoginName
from relmachine.stream.bounds import StreamBounds
from relmachine.stream.connecting import connect
from relmachine.stream.connection import Connection
from relmachine.stream.description import Subject, describe
from relmachine.stream.nats import NatsStream
from relmachine.stream.ports import free_port
from relmachine.stream.topology import topology
from tests.contract.nats_by_hand import nats_by_hand
from tests.contract.stream_contract import plan_of, row, step

pytestmark = pytest.mark.process

PLAN: Plan = plan_of("desk")
NAMES = topology(PLAN)
DESCRIBED = describe(NAMES, Limits(), StreamBounds())
LOGINS: tuple[LoginName, ...] = ("core", "publisher", "system")
STEPS = NAMES.steps_stream


@dataclass(frozen=True)
class Server:
    """A server with the generated accounts."""

    host: str
    monitor_port: int
    logins: Logins

    @asynccontextmanager
    async def connected(self, login: LoginName) -> AsyncIterator[Connection]:
        own = self.logins.of(login)
        connection = await connect(f"nats://{own.user}:{own.password}@{self.host}", name=login)
        try:
            yield connection
        finally:
            await connection.close()

    @asynccontextmanager
    async def stream(self) -> AsyncIterator[NatsStream]:
        """A node's stream, with one step of somebody on it and one message on each feed."""
        core = self.logins.core
        stream = await NatsStream.open(f"nats://{core.user}:{core.password}@{self.host}", PLAN, "store", Limits())
        try:
            await stream.publisher.publish([step("theirs", 1)])
            rows = [row("theirs", 1, kind) for kind in ("journal", "out", "rejected")]
            assert set(await stream.feeds.emit(rows)) == set(rows)
            yield stream
        finally:
            await stream.close()


@pytest.fixture(scope="module", params=["default", "always"])
def sync(request: pytest.FixtureRequest) -> Literal["default", "always"]:
    return request.param


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, sync: Literal["default", "always"]) -> Iterator[Server]:
    logins, monitor = Logins(), free_port()
    member = NatsMember("nats-1", "127.0.0.1", 0, monitor, 0)
    text = nats_config(member, [member], PLAN.machine, logins, "STORE", sync)
    with nats_by_hand(tmp_path_factory.mktemp("nats"), _without_listen(text)) as host:
        yield Server(host, monitor, logins)


def _without_listen(text: str) -> str:
    """The port is chosen by whoever starts the server."""
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("listen:"))


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 30))


class Ear:
    """Hears what comes on a subject."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    async def listen(self, connection: Connection, subject: str, queue: str = "") -> None:
        async def hear(message: Msg) -> None:
            self.heard.append(message.data)

        await connection.client.subscribe(subject, queue=queue, cb=hear)
        await connection.heard()


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def contents(stream: NatsStream) -> list[object]:
    """Configuration, state and consumers of every stream."""
    found: list[object] = []
    for name in NAMES.streams:
        info = await stream.connection.jetstream.stream_info(name)
        found += [info.config, info.state, len(await stream.connection.jetstream.consumers_info(name))]
    return found


def of_thread(subject: Subject, thread: str) -> str:
    """A subject within the pattern."""
    kind, _, rest = subject.subject.partition(".*")
    return f"{kind}.{thread}{rest.replace('*', 'first')}"


@pytest.mark.parametrize("login", LOGINS)
@pytest.mark.parametrize("subject", [pytest.param(item, id=item.subject) for item in DESCRIBED.subjects])
def test_who_may_publish_and_hear_is_what_is_printed(login: LoginName, subject: Subject, server: Server) -> None:
    name = next(account.name for account in DESCRIBED.accounts if account.login == login)
    concrete = of_thread(subject, login)

    async def test() -> None:
        async with AsyncExitStack() as stack:
            core = await stack.enter_async_context(server.connected("core"))
            theirs = await stack.enter_async_context(server.connected(login))
            at_core, at_theirs = Ear(), Ear()
            await at_core.listen(core, concrete)
            await at_theirs.listen(theirs, subject.subject)
            await core.client.publish(concrete, b"from core")
            await core.heard()
            await until(lambda: at_core.heard)
            await theirs.heard()
            assert (b"from core" in at_theirs.heard) == (name in subject.accounts_that_may_hear)
            await theirs.client.publish(concrete, b"from them")
            await theirs.heard()
            await core.client.publish(concrete, b"last")  # comes after theirs, if theirs comes
            await until(lambda: b"last" in at_core.heard)
            assert (b"from them" in at_core.heard) == (name in subject.accounts_that_may_publish)

    run(test())


def test_a_publisher_hears_its_own_acknowledgement_and_nobody_elses_steps(server: Server) -> None:
    async def test() -> None:
        async with server.stream() as stream, server.connected("publisher") as stranger:
            ear = Ear()
            for subject in (
                ">",
                "relm.>",
                "relm.desk.step.>",
                NAMES.steps_subjects,
                "*.desk.step.*.*",
                "$JS.>",
                "_R_.>",
            ):
                for queue in ("", "group"):
                    await ear.listen(stranger, subject, queue)
            assert len(stranger.forbidden) == 14
            await stream.publisher.publish([step("theirs", 2)])
            await stream.connection.client.publish("relm.desk.step.theirs.first", b"a secret")
            await stream.connection.heard()
            await stranger.heard()
            assert ear.heard == []
            answer = json.loads((await stranger.client.request("relm.desk.step.mine.first", b"1", timeout=5)).data)
            assert answer["stream"] == STEPS
            assert len(await stream.reader.read("mine", 0, 10)) == 1

    run(test())


REQUESTS = [
    "INFO",
    "STREAM.NAMES",
    "STREAM.LIST",
    f"STREAM.INFO.{STEPS}",
    f"STREAM.CREATE.{STEPS}",
    "STREAM.CREATE.other",
    f"STREAM.UPDATE.{STEPS}",
    f"STREAM.DELETE.{STEPS}",
    f"STREAM.PURGE.{STEPS}",
    f"STREAM.MSG.GET.{STEPS}",
    f"STREAM.MSG.DELETE.{STEPS}",
    f"STREAM.SNAPSHOT.{STEPS}",
    "STREAM.RESTORE.other",
    f"STREAM.LEADER.STEPDOWN.{STEPS}",
    f"STREAM.PEER.REMOVE.{STEPS}",
    f"DIRECT.GET.{STEPS}",
    f"DIRECT.GET.{STEPS}.relm.desk.step.theirs.first",
    f"CONSUMER.NAMES.{STEPS}",
    f"CONSUMER.CREATE.{STEPS}",
    f"CONSUMER.CREATE.{STEPS}.mine",
    f"CONSUMER.DURABLE.CREATE.{STEPS}.mine",
    f"CONSUMER.INFO.{STEPS}.relm_store",
    f"CONSUMER.DELETE.{STEPS}.relm_store",
    f"CONSUMER.PAUSE.{STEPS}.relm_store",
    f"CONSUMER.MSG.NEXT.{STEPS}.relm_store",
]
OTHERS = [
    *(NAMES.feed_subject(kind, "theirs") for kind in ("journal", "out", "rejected")),  # type: ignore[arg-type]
    NAMES.live_subject("out", "theirs"),
    "relm.desk.control.theirs",
    "relm.desk.telemetry.theirs",
    "relm.desk.step.theirs",
    "relm.desk.step.theirs.first.more",
    *(NAMES.step_subject("theirs", token) for token in RECORDS),
    "relm.other.step.theirs.first",
    f"$JS.ACK.{STEPS}.relm_store.1.1.1.1.1",
    "$SYS.REQ.USER.INFO",
    "$SYS.REQ.SERVER.PING",
    "_INBOX.somebody.1",
]


def test_a_publisher_may_ask_and_publish_nothing_else(server: Server) -> None:
    """Each is forbidden by name, gets no answer, and changes nothing."""

    async def test() -> None:
        async with server.stream() as stream, server.connected("publisher") as stranger:
            before = await contents(stream)
            at_core, answers = Ear(), Ear()
            await at_core.listen(stream.connection, "relm.>")
            inbox = stranger.client.new_inbox()
            await answers.listen(stranger, inbox)
            tried = [*(f"$JS.API.{request}" for request in REQUESTS), *OTHERS]
            for subject in tried:
                stranger.forbidden.clear()
                await stranger.client.publish(subject, b'{"last_by_subj": "relm.desk.step.theirs.first"}', reply=inbox)
                await stranger.heard()
                assert any(f'"{subject}"'.lower() in told for told in stranger.forbidden), subject
            assert (at_core.heard, answers.heard) == ([], [])
            assert await contents(stream) == before

    run(test())


def test_a_publisher_that_guesses_a_step_cannot_pass_it_off_as_a_repeat(server: Server) -> None:
    """It knows thread, bytes and the rule of ids; with one id for all logins the node's step would be lost."""

    async def test() -> None:
        async with server.stream() as stream, server.connected("publisher") as stranger:
            guessed = step(uuid4().hex, 1)
            subject = NAMES.step_subject(guessed.thread, guessed.step_token)
            header = {"Nats-Msg-Id": guessed.message_id}
            await stranger.client.request(subject, b"squatting", timeout=5, headers=header)
            (published,) = await stream.publisher.publish([guessed])
            assert not published.duplicate
            bodies = [message.body for message in await stream.reader.read(guessed.thread, 0, 9)]
            assert bodies == [b"squatting", guessed.body]
            (again,) = await stream.publisher.publish([guessed])
            assert again.duplicate

    run(test())


@pytest.mark.parametrize(
    "reply",
    [
        "relm.desk.journal.theirs",
        "relm.desk.step.theirs.first",
        f"$JS.API.STREAM.DELETE.{STEPS}",
        f"$JS.API.CONSUMER.DELETE.{STEPS}.relm_store",
    ],
)
def test_an_acknowledgement_goes_nowhere_else_than_to_who_published(reply: str, server: Server) -> None:
    """The stream answers to any reply subject, with the rights of nodes; but in the publisher's account."""

    async def test() -> None:
        async with server.stream() as stream, server.connected("publisher") as stranger:
            before = await contents(stream)
            ear, thread = Ear(), uuid4().hex
            await ear.listen(stream.connection, reply)
            await stranger.client.publish(NAMES.step_subject(thread, "first"), b"tricky", reply=reply)
            await stranger.heard()

            async with asyncio.timeout(10):
                while not await stream.reader.read(thread, 0, 1):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            await stream.connection.heard()
            after = await contents(stream)
            assert ear.heard == []
            assert (after[0], after[2:]) == (before[0], before[2:])

    run(test())


def test_a_reply_subject_that_acknowledges_hints_is_forbidden(server: Server) -> None:
    async def test() -> None:
        async with server.stream() as stream, server.connected("publisher") as stranger:
            before = await contents(stream)
            reply = f"$JS.ACK.{STEPS}.relm_store.1.1.1.1.1"
            await stranger.client.publish("relm.desk.step.mine.first", b"tricky", reply=reply)
            await stranger.heard()
            assert [reply.lower() in told.lower() for told in stranger.forbidden] == [True]
            assert await contents(stream) == before

    run(test())


@pytest.mark.parametrize(
    "headers",
    [
        {"Nats-Rollup": "all"},
        {"Nats-Rollup": "sub"},
        {"Nats-TTL": "1s"},
        {"Nats-Incr": "1"},
        {"Nats-Schedule": "@every 1s", "Nats-Schedule-Target": "relm.desk.journal.theirs"},
    ],
    ids="-".join,
)
def test_no_header_of_a_publisher_takes_messages_out(headers: dict[str, str], server: Server) -> None:
    async def test() -> None:
        async with server.stream() as stream, server.connected("publisher") as stranger:
            before = await contents(stream)
            message = await stranger.client.request("relm.desk.step.theirs.first", b"1", timeout=5, headers=headers)
            assert json.loads(message.data)["error"], message.data
            assert await contents(stream) == before

    run(test())


def test_the_system_login_sees_servers_and_no_step(server: Server) -> None:
    async def test() -> None:
        async with server.stream() as stream, server.connected("system") as system:
            ear = Ear()
            await ear.listen(system, "relm.>")
            await ear.listen(system, "$JS.>")
            await stream.publisher.publish([step("theirs", 3)])
            answer = await system.client.request("$SYS.REQ.SERVER.PING.JSZ", b'{"config": true}', timeout=5)
            assert json.loads(answer.data)["data"]["streams"] == 4
            await system.heard()
            assert ear.heard == []

    run(test())


def test_how_often_a_server_calls_fsync_is_told_by_its_monitor(
    server: Server, sync: Literal["default", "always"]
) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.monitor_port}/jsz?config=1", timeout=5) as answer:
        config = json.load(answer)["config"]
    assert config.get("sync_always", False) == (sync == "always"), config


def test_the_configuration_holds_every_subject_that_is_printed_and_no_other(tmp_path: Path) -> None:
    member = NatsMember("n", "127.0.0.1", 1, 2, 3)
    text = nats_config(member, [member], PLAN.machine, Logins(), str(tmp_path))
    quoted = {part for part in text.split('"')[1::2] if part.startswith(("relm.", "_INBOX", "$"))}
    printed: set[str] = set()
    for account in DESCRIBED.accounts:
        printed |= {*(account.publish or ()), *account.publish_denied, *(account.subscribe or ())}
        printed |= {subject for subject, _ in (*account.exports, *account.imports)}
    assert quoted == printed


def test_batches_that_a_publisher_begins_and_never_ends_hold_up_nodes_for_a_moment_only(server: Server) -> None:
    async def test() -> None:
        async with server.stream() as stream, server.connected("publisher") as publisher:
            for _ in range(NatsLimits().open_batches_max + 10):
                headers = {"Nats-Batch-Id": uuid4().hex, "Nats-Batch-Sequence": "1"}
                await publisher.client.publish(NAMES.step_subject("theirs", "first"), b"{}", headers=headers)
            await publisher.heard()
            before = (await stream.connection.jetstream.stream_info(STEPS)).state.messages
            alone = await stream.publisher.publish([step("t", n) for n in range(5)])
            assert len(alone) == 5, "what need not be stored together is stored at once"
            first, second = await stream.publisher.publish_together([step("a", 1), step("b", 1)])
            assert second.sequence == first.sequence + 1
            after = (await stream.connection.jetstream.stream_info(STEPS)).state.messages
            assert after == before + 7, "nothing of a batch without an end is stored"

    run(test())
