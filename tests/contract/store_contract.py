"""Goal: every adapter of `Store` keeps the same promises. Method: classes of tests, one for each idea
(`store_*_contract.py`), inherited per adapter; what they share is here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from relmachine.kernel.limits import Limits
from relmachine.store.port import Store
from tests.contract.store_place import StorePlace
from tests.contract.store_turns import Desk

CONTENT = ("events", "histories", "claims", "contributions", "extensions", "receipts", "rejections", "transitions")

WRITE_ONCE = {
    "meta": "value",
    "plans": "declaration",
    "steps": "kind",
    "commutation": "step_b",
    "accord_fields": "reducer",
    "fibers": "points",
    "fiber_points": "up",
    "fiber_elements": "elem",
    "fiber_meet": "result",
    "fiber_join": "result",
    "fiber_impl": "result",
    "nuclei": "saturate",
    "events": "payload",
    "histories": "section_digest",
    "thread_events": "history_id",
    "event_claims": "claim",
    "event_contributions": "value",
    "history_extensions": "source",
    "commits": "to_head",
    "receipts": "outcome",
    "rejections": "code",
    "transitions": "kind",
    "section_snapshots": "section_data",
}


HALF_A_TURN = (
    "INSERT INTO threads (thread, label, head, epoch, seq, state) VALUES ('mine', 'mine', 'h', 0, 0, '{}')",
    "INSERT INTO commits VALUES ('mine', 'h', 0, 0, 'next', 999)",
)
"""A commit of a thread that does not move: what it takes to write where turns write."""


class StoreContract(StorePlace):
    """What every store keeps."""

    def run(self, test: Callable[[Store, Desk], Awaitable[None]], limits: Limits | None = None) -> None:
        """Run `test` on a store of the desk machine."""
        asyncio.run(self._run(test, limits))

    async def _run(self, test: Callable[[Store, Desk], Awaitable[None]], limits: Limits | None) -> None:
        made = Desk.new()
        store = await self.open(made.plan, limits)
        try:
            await test(store, made)
        finally:
            await store.close()


async def counts(store: Store) -> tuple[object, ...]:
    """How many rows there are of everything that commits write."""
    tables = (*CONTENT, "threads", "commits", "outbox", "thread_events", "fibers", "meta")
    return (await store.select(f"SELECT {', '.join(f'(SELECT count(*) FROM {name})' for name in tables)}")).rows[0]


async def everything(store: Store) -> dict[str, object]:
    """All rows of all tables that are written once, of threads and of the outbox."""
    names = [*WRITE_ONCE, "threads", "outbox"]
    return {name: (await store.select(f"SELECT * FROM {name}")).rows for name in names}
