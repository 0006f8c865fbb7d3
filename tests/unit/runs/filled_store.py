"""A store with every kind of row that steps outside their turn leave."""

from __future__ import annotations

import asyncio
from pathlib import Path

from relmachine.algebra.identity import digest
from relmachine.kernel.answer import Decision, Failure, Pass, Reason
from relmachine.store.port import Draft
from relmachine.store.sqlite import SqliteStore
from tests.unit.runs.incident import CONFIRM, Asked, decide, machine

DECISIONS = (
    Decision(
        kind="model",
        name="default",
        asked=digest("asked", "1"),
        value='{"parts":[]}',
        tokens=7,
        cost=0.5,
        seal=digest("seal", "1"),
    ),
    Decision(kind="tool", name="look", asked=digest("asked", "2"), error="away"),
    Decision(kind="time", asked=digest("asked", "3"), value='"2026-01-02T03:04:05.000000Z"'),
)
PASSES = (
    Pass(number=1, decision="call", tool="look", input="{}", error="away", state=digest("state", "1")),
    Pass(number=2, decision="answer", output="disk", state=digest("state", "2")),
)


def ran(path: Path) -> None:
    """Fill a new store at `path`."""

    async def run() -> None:
        plan = machine().plan()
        store = SqliteStore.open(path, plan)
        try:
            await fill(Asked(plan, store))
        finally:
            await store.close()

    asyncio.run(run())


async def fill(shop: Asked) -> None:
    """Leave every kind of row in the store of `shop`: on `a` and `b`, one run of each kind, the last two open."""
    for thread in ("a", "b"):
        shop.step(thread, "observe", symptom="slow")
        done = shop.step(thread, "propose")
        overtaken = shop.step(thread, "propose")
        failed = shop.step(thread, "propose")
        left = shop.step(thread, "propose")
        refused = shop.step(thread, "propose")
        shop.answer(thread, done, follow_ups=(CONFIRM,), decisions=DECISIONS, passes=PASSES)
        shop.step(thread, "observe", symptom=f"loud {thread}")
        shop.answer(thread, overtaken, decisions=DECISIONS[:1])
        shop.answer(thread, overtaken, attempt=2, passes=PASSES[1:])
        why = Failure(code="tool_failed", sentence="the tool is away", witness='{"tool":"look"}')
        shop.answer(thread, failed, reason=Reason.FATAL, failure=why, decisions=DECISIONS[1:])
        shop.answer(thread, refused, contributions={"noted": "1"})
        await decide(shop, thread)
        await shop.store.keep_draft(Draft(thread, left, 1, 0, DECISIONS[0].model_dump_json()))
