"""Goal: whoever does not know the tokens can neither use a sidecar nor call a node in its name, and a node is placed
while there is no scheduler. Method: a real sidecar and placement, no scheduler, and a node as a process; its own calls
go through, everybody else's with no token and with a wrong one do not.
"""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from relmachine.errors import RelmError
from relmachine.hosts.dapr_actor import actor_type
from relmachine.hosts.dapr_bounds import DaprBounds
from relmachine.hosts.dapr_client import SidecarCaller
from relmachine.hosts.dapr_outcome import Advanced, decode_outcome, encode_hint
from relmachine.hosts.dapr_tokens import HEADER, NO_TOKENS, DaprTokens
from tests.cluster.dapr_cluster import TOKENS, DaprCluster
from tests.cluster.dapr_node import CURSOR

pytestmark = pytest.mark.process

PLACED_SECONDS_MAX = 30.0
TYPE = actor_type("permit")
STRANGERS = [NO_TOKENS, DaprTokens("guessed", "guessed"), DaprTokens(TOKENS.app, TOKENS.api)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaprCluster]:
    """One node that is placed."""
    with DaprCluster(tmp_path_factory.mktemp("dapr"), "permit", scheduled=False) as made:
        made.start_sidecar("a")
        made.start_node("a")
        asyncio.run(until_placed(made))
        yield made


def caller(cluster: DaprCluster, tokens: DaprTokens) -> SidecarCaller:
    return SidecarCaller(cluster.sidecars["a"].grpc_address, TYPE, DaprBounds(), tokens)


async def until_placed(cluster: DaprCluster) -> None:
    line = caller(cluster, TOKENS)
    try:
        async with asyncio.timeout(PLACED_SECONDS_MAX):
            while not await line.placed():  # noqa: ASYNC110 - a sidecar tells only when asked
                await asyncio.sleep(0.05)
    finally:
        await line.close()


def asked(port: int, method: str, path: str, token: str | None) -> int:
    """The status of an answer."""
    headers = {} if token is None else {HEADER: token}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", b"1", headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_a_node_without_a_scheduler_takes_turns(cluster: DaprCluster) -> None:
    async def call() -> object:
        line = caller(cluster, TOKENS)
        try:
            return decode_outcome(await line.call("own", encode_hint(1)))
        finally:
            await line.close()

    assert "scheduler" not in cluster.processes
    assert asyncio.run(call()) == Advanced(cursor=CURSOR)
    assert "own" in cluster.threads_of("a")


@pytest.mark.parametrize("tokens", STRANGERS, ids=["none", "guessed", "each other's"])
def test_a_stranger_uses_no_sidecar(cluster: DaprCluster, tokens: DaprTokens) -> None:
    async def call() -> None:
        line = caller(cluster, tokens)
        try:
            assert not await line.placed()
            with pytest.raises(RelmError, match="UNAUTHENTICATED"):
                await line.call("strange", encode_hint(1))
        finally:
            await line.close()

    asyncio.run(call())
    port = cluster.sidecars["a"].ports.http
    for method, path in (
        ("POST", "/v1.0/shutdown"),
        ("GET", "/v1.0/metadata"),
        ("PUT", f"/v1.0/actors/{TYPE}/strange/method/advance"),
        ("POST", f"/v1.0/actors/{TYPE}/strange/reminders/r"),
    ):
        assert asked(port, method, path, tokens.api) == 401, path
    assert "strange" not in cluster.threads_of("a")


@pytest.mark.parametrize("tokens", STRANGERS, ids=["none", "guessed", "each other's"])
def test_a_stranger_calls_no_node(cluster: DaprCluster, tokens: DaprTokens) -> None:
    """It may ask whether the node is well, as health checks do."""
    port = cluster.sidecars["a"].ports.app
    for method, path in (
        ("PUT", f"/actors/{TYPE}/strange/method/advance"),
        ("DELETE", f"/actors/{TYPE}/own"),
        ("GET", "/dapr/config"),
        ("GET", "/nowhere"),
    ):
        assert asked(port, method, path, tokens.app) == 401, path
    assert asked(port, "GET", "/healthz", tokens.app) == 200
    assert asked(port, "PUT", f"/actors/{TYPE}/known/method/advance", TOKENS.app) == 200
    assert "strange" not in cluster.threads_of("a")
