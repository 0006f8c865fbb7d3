"""Goal: a sidecar finds the node well, or not, gets the actors' answers at once and as they are, and cannot make it
fail. Method: the application on a real port, asked over HTTP as a sidecar asks."""

from __future__ import annotations

import asyncio
import socket
import statistics
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from unittest.mock import create_autospec

import httpx
import pytest
from dapr.clients.base import DaprActorClientBase

from relmachine.errors import Code, RelmError
from relmachine.hosts.dapr_actor import ActorTurns, actor_id, thread_of
from relmachine.hosts.dapr_app import ActorApp
from relmachine.hosts.dapr_bounds import DaprBounds
from relmachine.hosts.dapr_outcome import Advanced, decode_outcome
from relmachine.hosts.dapr_server import ActorServer
from relmachine.hosts.local import LocalHost
from relmachine.kernel.limits import Limits
from relmachine.kernel.thread_token import encode_thread
from tests.contract.host_rounds import ScriptedRounds

TYPE = "relm.contract"
Scenario = Callable[[httpx.AsyncClient, ActorServer, ScriptedRounds], Coroutine[object, object, None]]


@asynccontextmanager
async def served(rounds: ScriptedRounds, port: int) -> AsyncGenerator[ActorServer]:
    rounds.gate.set()
    app = ActorApp(TYPE, ActorTurns(LocalHost(rounds, Limits()), 1.0), DaprBounds())
    server = ActorServer(app, f"127.0.0.1:{port}", create_autospec(DaprActorClientBase, instance=True))
    await server.start()
    yield server
    await server.close()


def play(scenario: Scenario, *names: str) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    async def played() -> None:
        rounds = ScriptedRounds(dict.fromkeys(names, 3))
        async with (
            asyncio.timeout(20),
            served(rounds, port) as server,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as sidecar,
        ):
            await scenario(sidecar, server, rounds)

    asyncio.run(played())


def test_a_call_is_answered_with_the_cursor() -> None:
    async def scenario(sidecar: httpx.AsyncClient, server: ActorServer, rounds: ScriptedRounds) -> None:
        answer = await sidecar.put(f"/actors/{TYPE}/a/method/advance", content=b"3")
        assert answer.status_code == 200
        assert decode_outcome(answer.content) == Advanced(cursor=3)

    play(scenario, "a")


@pytest.mark.parametrize("label", ["a.b", "with space", "50%25", "a/b", "ünïcödé", "~_-"])
def test_the_actor_of_a_thread_survives_any_number_of_decodings(label: str) -> None:
    thread = encode_thread(label)

    async def scenario(sidecar: httpx.AsyncClient, server: ActorServer, rounds: ScriptedRounds) -> None:
        for actor in (actor_id(thread), actor_id(thread).replace("!", "%21")):
            answer = await sidecar.put(f"/actors/{TYPE}/{actor}/method/advance", content=b"1")
            assert isinstance(decode_outcome(answer.content), Advanced)
        assert {name for names in rounds.rounds for name in names} == {thread}

    play(scenario, thread)
    assert thread_of(actor_id(thread)) == thread


def test_a_node_that_leaves_is_not_well_and_still_answers_calls() -> None:
    async def scenario(sidecar: httpx.AsyncClient, server: ActorServer, rounds: ScriptedRounds) -> None:
        assert (await sidecar.get("/healthz")).status_code == 200
        server.leave()
        assert (await sidecar.get("/healthz")).status_code == 503
        answer = await sidecar.put(f"/actors/{TYPE}/a/method/advance", content=b"1")
        assert isinstance(decode_outcome(answer.content), Advanced)

    play(scenario, "a")


def test_the_configuration_names_the_actor_type_and_the_bounds() -> None:
    async def scenario(sidecar: httpx.AsyncClient, server: ActorServer, rounds: ScriptedRounds) -> None:
        told = (await sidecar.get("/dapr/config")).json()
        assert told["entities"] == [TYPE]
        assert told["drainOngoingCallTimeout"] == f"{DaprBounds().turn_seconds_max:g}s"

    play(scenario)


def test_an_actor_that_is_not_active_can_be_deactivated() -> None:
    async def scenario(sidecar: httpx.AsyncClient, server: ActorServer, rounds: ScriptedRounds) -> None:
        await sidecar.put(f"/actors/{TYPE}/a/method/advance", content=b"1")
        for _ in range(2):
            assert (await sidecar.delete(f"/actors/{TYPE}/a")).status_code == 200

    play(scenario, "a")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", f"/actors/{TYPE}/a/method/advance", b"1" * 2000, 413),
        ("PUT", f"/actors/{TYPE}/a/method/erase", b"1", 404),
        ("PUT", "/actors/relm.other/a/method/advance", b"1", 404),
        ("PUT", f"/actors/{TYPE}/a/method/remind/advance", b"1", 404),
        ("POST", f"/actors/{TYPE}/a/method/advance", b"1", 404),
        ("GET", "/dapr/subscribe", b"", 404),
        ("GET", "/", b"", 404),
    ],
)
def test_what_is_not_for_an_actor_runs_no_turn(method: str, path: str, body: bytes, status: int) -> None:
    async def scenario(sidecar: httpx.AsyncClient, server: ActorServer, rounds: ScriptedRounds) -> None:
        assert (await sidecar.request(method, path, content=body)).status_code == status
        assert rounds.rounds == []

    play(scenario, "a")


def test_small_answers_leave_at_once() -> None:
    """Where a server waits for the acknowledgement of its headers before it sends the body, each takes 40 ms."""

    async def scenario(sidecar: httpx.AsyncClient, server: ActorServer, rounds: ScriptedRounds) -> None:
        took: list[float] = []
        for _ in range(25):
            begin = time.monotonic()
            await sidecar.get("/dapr/config")
            took.append(time.monotonic() - begin)
        assert statistics.median(took) < 0.035

    play(scenario)


def test_a_port_that_is_taken_is_a_coded_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        rounds = ScriptedRounds({})

        async def work() -> None:
            async with served(rounds, taken.getsockname()[1]):
                pass

        with pytest.raises(RelmError) as refused:
            asyncio.run(work())
    assert refused.value.code is Code.UNREACHABLE
