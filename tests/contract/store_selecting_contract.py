"""Goal: people may ask anything that reads, within bounds.
Method: tests that every store adapter inherits."""

from __future__ import annotations

import pytest

from relmachine.errors import Code, RelmError
from relmachine.kernel.limits import Limits
from relmachine.store.port import Store
from tests.contract.store_contract import StoreContract, counts
from tests.contract.store_turns import Desk


class SelectingContract(StoreContract):
    @pytest.mark.parametrize(
        "sql",
        [
            "INSERT INTO meta VALUES ('x', 'y')",
            "UPDATE threads SET epoch = 7",
            "DELETE FROM outbox",
            "DROP TABLE units",
            "CREATE TABLE mine (x)",
            "CREATE TEMP TABLE mine (x)",
            "ATTACH DATABASE ':memory:' AS other",
            "PRAGMA query_only = OFF",
            "PRAGMA user_version = 7",
            "VACUUM",
            "BEGIN IMMEDIATE",
            "SELECT 1; SELECT 2",
            "SELECT load_extension('x')",
            "SELECT nothing FROM nowhere",
            "-- nothing",
            "",
            "SELECT ?",
        ],
    )
    def test_select_only_reads(self, sql: str) -> None:
        async def test(store: Store, made: Desk) -> None:
            await store.commit([made.opening("a")])
            before = await counts(store)
            with pytest.raises(RelmError) as refused:
                await store.select(sql)
            assert refused.value.code is Code.QUERY_REFUSED
            assert await counts(store) == before

        self.run(test)

    def test_select_answers_with_columns_and_rows(self) -> None:
        async def test(store: Store, _made: Desk) -> None:
            table = await store.select("SELECT 1 AS one, ? AS two", ("text",))
            assert (table.columns, table.rows) == (("one", "two"), ((1, "text"),))

        self.run(test)

    def test_select_is_bounded(self) -> None:
        async def test(store: Store, _made: Desk) -> None:
            count = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) SELECT {} FROM n"
            assert len((await store.select(count.format(50, "i"))).rows) == 50
            # Endless rows meet the bound on rows first: no more are fetched than may be answered.
            bounds = {
                count.format(51, "i"): "query_rows_max",
                count.format(10**9, "i"): "query_rows_max",
                count.format(10**9, "sum(i)"): "query_seconds_max",
            }
            for sql, bound in bounds.items():
                with pytest.raises(RelmError) as refused:
                    await store.select(sql)
                assert refused.value.code is Code.LIMIT_EXCEEDED
                assert bound in str(refused.value.witness)
            assert (await store.select("SELECT 1")).rows == ((1,),)

        self.run(test, Limits(query_rows_max=50, query_seconds_max=0.2))
