"""Goal: messages are there until somebody has sent them, for every node.
Method: tests that every store adapter inherits."""

from __future__ import annotations

from itertools import accumulate

from relmachine.store.port import Committed, Stale, Store
from tests.contract.store_contract import StoreContract
from tests.contract.store_turns import Desk


class OutboxContract(StoreContract):
    def test_unsent_rows_come_oldest_first_until_sent(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            first, second = made.opening("b"), made.opening("a")
            await store.commit([second, first])
            rows = [*first.outbox, *second.outbox]
            found = await store.unsent(100)
            assert sorted(found) == sorted(rows)
            assert [row.seq for row in found] == sorted(row.seq for row in rows)
            assert await store.unsent(2) == found[:2]
            sizes = list(accumulate(len(row.body.encode()) for row in found))
            for bytes_max, rows_in in (
                (1, 1),
                (sizes[0], 1),
                (sizes[0] + 1, 2),
                (sizes[2], 3),
                (sizes[-1] + 1, len(found)),
            ):
                assert list(await store.unsent(100, bytes_max=bytes_max)) == list(found[:rows_in]), bytes_max
            mine = [row for row in found if row.thread == "a"]
            assert list(await store.unsent(100, ["a"], bytes_max=1)) == mine[:1]
            assert list(await store.unsent(2, ["a"])) == mine[:2]
            assert list(await store.unsent(100, ["a", "nobody"])) == [row for row in found if row.thread == "a"]
            assert list(await store.unsent(100, [])) == []
            assert await store.commit([made.notes("a", 1)], found[:2]) == [Committed("a")]
            assert [row for row in await store.unsent(100) if row in rows] == found[2:]
            assert await store.commit([], await store.unsent(100)) == []
            assert await store.unsent(100) == []

        self.run(test)

    def test_what_left_is_dropped_even_when_the_proposals_are_stale(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            first = made.opening("a")
            await store.commit([first])
            assert await store.commit([first], first.outbox) == [Stale("a")]
            assert await store.unsent(10) == []

        self.run(test)

    def test_messages_of_a_node_that_died_are_there_for_another_until_somebody_sent_them(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            first = made.opening("a")
            await store.commit([first, made.opening("b")])
            await store.close()
            other = await self.open(made.plan)
            second = made.notes("a", 1)
            await other.commit([second])
            found = await other.unsent(100, ["a"])
            assert sorted(found) == sorted([*first.outbox, *second.outbox])
            assert [row.seq for row in found] == sorted(row.seq for row in found)
            assert await other.unsent(100, ["a"]) == found, "reading takes nothing away"
            for _ in range(2):
                await other.commit([], first.outbox)
                assert sorted(await other.unsent(100, ["a"])) == sorted(second.outbox)
            assert {row.thread for row in await other.unsent(100)} == {"a", "b"}
            await other.close()

        self.run(test)
