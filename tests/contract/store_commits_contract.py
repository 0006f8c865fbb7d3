"""Goal: a commit is durable, and its content is what the turn decided.
Method: tests that every store adapter inherits."""

from __future__ import annotations

from relmachine.kernel.limits import Limits
from relmachine.kernel.state import dump_state
from relmachine.store import reading
from relmachine.store.port import Committed, Store
from tests.contract.store_contract import CONTENT, StoreContract
from tests.contract.store_turns import Desk


class CommitsContract(StoreContract):
    def test_a_commit_is_visible_and_survives_reopening(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            proposal = made.opening("a")
            assert await store.commit([proposal]) == [Committed("a")]
            store_id = store.store_id
            await store.close()
            again = await self.open(made.plan)
            assert again.store_id == store_id
            state = (await again.states(["a", "nobody"]))["a"]
            assert (state.head, state.cursor) == (proposal.after.head, proposal.after.cursor)
            assert dump_state(state) == dump_state(proposal.after)
            for table in CONTENT:
                stored = (await again.select(f"SELECT * FROM {table}")).rows
                expected = [tuple(row) for row in getattr(proposal, table)]
                assert sorted(row[: len(expected[0])] for row in stored) == sorted(expected), table
            await again.close()

        self.run(test)

    def test_fibers_are_written_when_first_seen(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            await store.commit([made.opening("a"), made.opening("b")])
            fibers = (await store.select("SELECT points FROM fibers ORDER BY points")).rows
            assert fibers == ((1,), (2,))
            head = (await store.states(["a"]))["a"].head
            fiber = await reading.fiber(store, head)
            assert fiber.points == ("checked", "received")
            rows = (await store.select("SELECT elem FROM fiber_elements WHERE fiber_id = ?", (fiber.fiber_id,))).rows
            assert sorted(row[0] for row in rows) == sorted(fiber.elements(100) or ())
            fixed = (await store.select("SELECT elem FROM fixed_fiber WHERE fiber_id = ?", (fiber.fiber_id,))).rows
            assert sorted(row[0] for row in fixed) == sorted(fiber.fixed_elements(100) or ())

        self.run(test)

    def test_large_fibers_keep_only_their_points(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            await store.commit([made.opening("a")])
            listed = (await store.select("SELECT count(DISTINCT fiber_id) FROM fiber_elements")).rows
            assert listed == ((1,),)
            assert (await store.select("SELECT count(DISTINCT fiber_id) FROM fiber_points")).rows == ((2,),)

        self.run(test, Limits(fiber_table_elements_max=2))
