"""Goal: a store that is built again from a stream of before, when ids were the hash alone, has the same history: what
steps proposed and released is known by its key. Method: one stream lived through with each form of ids."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from relmachine.algebra import identity
from relmachine.algebra.identity import FAMILY_CHARACTERS, hash_of
from relmachine.store.sqlite import SqliteStore
from relmachine.store.verify import verify
from tests.unit.held.desk import Desk, machine


async def history(desk: Desk) -> tuple[list[tuple[object, str]], Sequence[object], Sequence[object]]:
    """The hashes of the histories that the threads had, what their steps contributed, and what is named by it."""
    rows = await desk.table("SELECT thread, history_id FROM thread_events ORDER BY thread, seq, place")
    told = await desk.table("SELECT thread, seq, field, value FROM thread_contributions ORDER BY thread, seq, field")
    keys = await desk.table("SELECT thread, step_key FROM receipts ORDER BY thread, step_key")
    seen = await desk.table("SELECT section_digest FROM histories UNION SELECT obstruction_id FROM obstructions")
    return [(row["thread"], hash_of(str(row["history_id"]))) for row in rows], told, [*keys, *seen]


async def clash(desk: Desk) -> None:
    """Two threads that cannot be merged."""
    received = desk.step("a", "receive")
    await desk.decide("a")
    ((head,),) = await desk.store.deciding("SELECT head FROM threads WHERE thread = 'a'")
    desk.fork("b", "a", str(head), received)
    for thread, who in (("a", "ann"), ("b", "bob")):
        desk.step(thread, "check", who=who)
    desk.merge("a", "b")
    await desk.settle()
    ((count,),) = await desk.store.deciding("SELECT count(*) FROM obstructions")
    assert count


def test_a_stream_of_before_leads_to_the_same_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        plan = machine().plan()
        before, now = (SqliteStore.open(tmp_path / f"{name}.db", plan) for name in ("before", "now"))
        monkeypatch.setattr(identity, "FAMILY_CHARACTERS", 0)
        first = Desk(plan, before)
        first.step("t", "check", who="ann")
        for step in ("grant", "pay", "receive"):
            first.step("t", step)
        first.step("t", "note", noted=7)
        await first.run_out()
        ((head, cursor),) = await before.deciding("SELECT head, seq FROM threads WHERE thread = 't'")
        first.fork("u", "t", str(head), int(str(cursor)))
        first.step("u", "note", noted=1)
        await first.decide("u")
        await clash(first)
        lived = await history(first)
        assert {len(name) for _, name in lived[0]} == {len(str(head))} == {64}

        monkeypatch.setattr(identity, "FAMILY_CHARACTERS", FAMILY_CHARACTERS)
        again = Desk(plan, now, stream=first.stream)
        await again.run_out()
        await again.settle()
        assert await history(again) == lived
        assert (await verify(now)).ok
        await before.close()
        await now.close()

    asyncio.run(work())
