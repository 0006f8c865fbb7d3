"""A store with every kind of row that steps leave that are held."""

from __future__ import annotations

import asyncio
from pathlib import Path

from relmachine.store.sqlite import SqliteStore
from tests.unit.held.desk import Desk, machine


def waited(path: Path) -> None:
    """Fill a new store at `path`."""

    async def run() -> None:
        plan = machine().plan()
        store = SqliteStore.open(path, plan)
        try:
            for thread in ("a", "b"):
                await _fill(Desk(plan, store), thread)
        finally:
            await store.close()

    asyncio.run(run())


async def _fill(desk: Desk, thread: str) -> None:
    """Steps that are committed, kept, refused by a law, by a closure, by the clock, and some that wait still."""
    desk.step(thread, "grant")
    desk.step(thread, "check", who="ann")
    desk.step(thread, "check", who=f"bob {thread}")
    late = desk.step(thread, "fail")
    desk.release(thread, late, expired=True)
    desk.step(thread, "fail")
    desk.step(thread, "receive")
    desk.step(thread, "withdraw")
    await desk.decide(thread)
    await desk.deliver(thread)
    await desk.decide(thread)
    desk.step(thread, "receive")
    desk.step(thread, "note", noted=3)
    await desk.run_out(thread)
    desk.step(thread, "forbid")
    desk.step(thread, "grant")
    await desk.decide(thread)
