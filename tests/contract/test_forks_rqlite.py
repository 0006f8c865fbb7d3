"""Goal: the replicated store keeps the contract of forks. Method: the contract class on one real server, cleared before
each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from relmachine.kernel.limits import Limits
from relmachine.machine.plan import Plan
from relmachine.store.rqlite.store import RqliteStore
from tests.contract.fork_contract import ForkContract, ForkStore
from tests.contract.resolution_contract import ResolutionContract
from tests.contract.rqlite_servers import RqliteServers

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RqliteServers]:
    servers = RqliteServers(tmp_path_factory.mktemp("rqlite"), 1)
    try:
        yield servers.start()
    finally:
        servers.end()


class Server(ForkStore):
    """A store on one server."""

    @pytest.fixture(autouse=True)
    def _empty(self, servers: RqliteServers) -> None:
        servers.clear()
        self.servers = servers

    async def open(self, plan: Plan, limits: Limits | None = None) -> RqliteStore:
        return await RqliteStore.open(self.servers.urls, plan, limits)

    def raw(self, statement: str) -> str:
        return self.servers.servers[0].execute(statement)


class TestForksOnRqlite(Server, ForkContract): ...


class TestResolutionsOnRqlite(Server, ResolutionContract): ...
