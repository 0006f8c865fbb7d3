"""Goal: the replicated store keeps the contract of runs. Method: the contract classes on one real server, cleared
before each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from relmachine.machine.plan import Plan
from relmachine.store.rqlite.store import RqliteStore
from tests.contract.rqlite_servers import RqliteServers
from tests.contract.run_contract import RunContract, RunStore
from tests.contract.run_rows_contract import RunRowsContract

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RqliteServers]:
    servers = RqliteServers(tmp_path_factory.mktemp("rqlite"), 1)
    try:
        yield servers.start()
    finally:
        servers.end()


class Server(RunStore):
    """A store on one server."""

    @pytest.fixture(autouse=True)
    def _empty(self, servers: RqliteServers) -> None:
        servers.clear()
        self.servers = servers

    async def open(self, plan: Plan) -> RqliteStore:
        return await RqliteStore.open(self.servers.urls, plan)

    def raw(self, statement: str) -> str:
        return self.servers.servers[0].execute(statement)


class TestRunsOnRqlite(Server, RunContract): ...


class TestRowsOfRunsOnRqlite(Server, RunRowsContract): ...
