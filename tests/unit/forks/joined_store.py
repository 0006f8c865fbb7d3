"""A store on disk in which threads were forked and merged, with what stood in the way."""

from __future__ import annotations

import asyncio
from pathlib import Path

from relmachine.store import reading
from relmachine.store.sqlite import SqliteStore
from tests.contract.fork_contract import prepared
from tests.contract.store_turns import desk
from tests.unit.forks.workshop import Workshop


def joined(path: Path) -> None:
    """Thread `a`, its fork `b`, merged once an obstruction is resolved, and `c`, merged at once; `d` stays open."""

    async def write() -> None:
        store = SqliteStore.open(path, desk())
        workshop = Workshop(desk(), store)
        base = await prepared(workshop)
        workshop.step("a", "decide", once="ada")
        workshop.step("b", "decide", once="bob")
        workshop.step("b", "note", log="left out too")
        workshop.fork("c", "a", base, 2)
        workshop.step("c", "opine", log="well", weight=0.2)
        workshop.fork("d", "a", base, 2)
        workshop.step("d", "decide", once="dan")
        workshop.merge("a", "b")
        await workshop.settle()
        (line,) = await reading.obstructions(store)
        workshop.resolve("a", line.obstruction, "a")
        workshop.merge("a", "b")
        workshop.merge("a", "c")
        workshop.merge("a", "d")
        workshop.step("a", "note", log="goes on")
        await workshop.settle()
        await store.close()

    asyncio.run(write())
