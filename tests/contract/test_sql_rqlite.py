"""Goal: plain SQL through rqlite's API gets no further than the page says. Method: the class of tests on a real server;
each transaction ends with a statement that the store refuses, so that nothing of it stays."""

from __future__ import annotations

from collections.abc import Iterator

import orjson
import pytest

from relmachine.kernel.limits import Limits
from relmachine.machine.plan import Plan
from relmachine.store.rqlite.store import RqliteStore
from tests.contract.rqlite_servers import RqliteServers
from tests.contract.sql_mutations import Cell
from tests.contract.store_by_sql import StoreBySql
from tests.contract.store_views import StoreViews

pytestmark = pytest.mark.process

TAKEN_BACK = "INSERT INTO meta VALUES ('store_id', 'x')"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RqliteServers]:
    servers = RqliteServers(tmp_path_factory.mktemp("rqlite"), 1)
    try:
        yield servers.start()
    finally:
        servers.end()


class TestRqliteBySql(StoreBySql):
    """By HTTP."""

    @pytest.fixture
    def _place(self, servers: RqliteServers) -> None:
        servers.clear()
        self.servers = servers

    async def open(self, plan: Plan, limits: Limits) -> RqliteStore:
        return await RqliteStore.open(self.servers.urls, plan, limits)

    def asked(self, sql: str) -> list[tuple[Cell, ...]]:
        answer = orjson.loads(self.servers.servers[0].post("/db/query", orjson.dumps([[sql]])))
        return [tuple(row) for row in answer["results"][0].get("values", [])]

    def attempt(self, *statements: str) -> int | str:
        body = orjson.dumps([[statement] for statement in (*statements, TAKEN_BACK)])
        answer = orjson.loads(self.servers.servers[0].post("/db/execute?transaction", body))
        results = answer["results"]
        for result in results[: len(statements)]:
            if "error" in result:
                return str(result["error"])
        assert results[-1]["error"] == "write_once: meta"
        return int(results[len(statements) - 1].get("rows_affected", 0))

    def alter(self, statement: str) -> None:
        assert self.servers.servers[0].execute(statement) == ""


class TestRqliteViews(StoreViews):
    """On a server."""

    @pytest.fixture(autouse=True)
    def _place(self, servers: RqliteServers) -> None:
        servers.clear()
        self.servers = servers

    async def open(self, plan: Plan, limits: Limits) -> RqliteStore:
        return await RqliteStore.open(self.servers.urls, plan, limits)
