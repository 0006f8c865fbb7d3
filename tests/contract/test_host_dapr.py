"""Goal: the host on virtual actors keeps the host contract. Method: the contract class, once with the SDK's runtime in
this process in place of a sidecar, once with a real sidecar, placement and scheduler."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Iterator
from contextlib import asynccontextmanager

import pytest

from relmachine.hosts.dapr import DaprHost
from relmachine.hosts.dapr_actor import ActorTurns
from relmachine.hosts.dapr_bounds import DaprBounds
from relmachine.hosts.local import LocalHost
from relmachine.hosts.port import Host
from relmachine.kernel.limits import Limits
from tests.cluster.dapr_cluster import TOKENS, DaprCluster
from tests.contract.host_contract import HostContract
from tests.contract.host_rounds import ScriptedRounds
from tests.contract.sidecar_in_process import InProcessSidecar


class TestDaprInProcess(HostContract):
    @asynccontextmanager
    async def host(self, rounds: ScriptedRounds) -> AsyncGenerator[Host]:
        local = LocalHost(rounds, Limits())
        turns = ActorTurns(local, DaprBounds().turn_seconds_max)
        sidecar = InProcessSidecar(turns)
        await sidecar.start()
        host = DaprHost(sidecar, sidecar, turns, DaprBounds(), local.cursors)
        yield host
        await host.close()
        await local.close()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaprCluster]:
    with DaprCluster(tmp_path_factory.mktemp("dapr"), "contract") as cluster:
        cluster.start_sidecar("a")
        yield cluster


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """One loop for all tests here, as a node has one: the SDK's registry and grpc keep hold of theirs."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.mark.process
class TestDaprSidecar(HostContract):
    @pytest.fixture(autouse=True)
    def _placed(self, cluster: DaprCluster, runner: asyncio.Runner) -> None:
        self.cluster, self.runner = cluster, runner

    def run(self, work: Coroutine[object, object, None]) -> None:
        self.runner.run(work)

    @asynccontextmanager
    async def host(self, rounds: ScriptedRounds) -> AsyncGenerator[Host]:
        local = LocalHost(rounds, Limits())
        sidecar = self.cluster.sidecars["a"]
        host = await DaprHost.start(local, "contract", sidecar.grpc_address, sidecar.app_listen, tokens=TOKENS)
        yield host
        await host.close()
        await local.close()
