"""Goal: what decides a turn is read complete and in order.
Method: tests that every store adapter inherits."""

from __future__ import annotations

from relmachine.store.port import Store
from tests.contract.store_contract import StoreContract
from tests.contract.store_turns import Desk


class DecidingContract(StoreContract):
    def test_states_of_no_thread_are_none(self) -> None:
        async def test(store: Store, _made: Desk) -> None:
            assert await store.states(["a"]) == {}
            assert await store.states([]) == {}

        self.run(test)

    def test_receipts_are_found_by_key(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            proposal = made.opening("a")
            await store.commit([proposal, made.opening("b")])
            keys = [(row.thread, row.step_key) for row in proposal.receipts]
            found = await store.receipts([*keys, ("a", "unknown"), ("nobody", keys[0][1])])
            assert set(found) == set(keys)
            for row in proposal.receipts:
                receipt = found[row.thread, row.step_key]
                assert (receipt.sequence, receipt.outcome, receipt.payload_digest) == (
                    row.seq,
                    row.outcome,
                    row.payload_digest,
                )

        self.run(test)

    def test_contributions_come_in_subject_order(self) -> None:
        async def test(store: Store, made: Desk) -> None:
            await store.commit([made.opening("a"), made.opening("b", "zoe")])
            await store.commit([made.notes("a", 12)])
            found = await store.contributions("a", ["log", "union", "once"])
            assert found["log"] == [f'"entry {i}"' for i in range(12)]
            assert (found["union"], found["once"]) == (['"ann"', '"bob"'], [])

        self.run(test)
