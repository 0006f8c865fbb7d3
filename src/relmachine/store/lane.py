"""What people, runs and the control lane read of what threads were told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

import orjson

from relmachine.kernel.lane import BUDGET, CANCEL, Effect, SetBudget
from relmachine.kernel.outcome_rows import OutboxRow
from relmachine.store.port import Reads

_COLUMNS = ", ".join(f"e.{name}" for name in Effect._fields)
EFFECTS = f"""
SELECT {_COLUMNS} FROM json_each(?) asked JOIN control_effects e
  ON e.thread = asked.value ->> 0 AND e.control_seq = asked.value ->> 1
"""
_FIRST = f"""
SELECT EXISTS (SELECT 1 FROM threads t WHERE t.thread = asked.thread),
  (SELECT count(*) FROM control_effects n WHERE n.thread = asked.thread), {_COLUMNS}
FROM (SELECT ? AS thread, ? AS key) asked
LEFT JOIN control_effects e ON e.thread = asked.thread AND e.step_key = asked.key ORDER BY e.control_seq LIMIT 1
"""
# Messages of effects are numbered from 1 in each thread: the few first rows of the outbox, whatever else waits there.
_WAITING = """
SELECT o.thread, o.seq, o.kind, o.body FROM outbox o
WHERE o.seq <= (SELECT max(told) FROM (SELECT count(*) AS told FROM control_effects e
    WHERE e.thread IN (SELECT value FROM json_each(?1)) GROUP BY e.thread))
  AND o.kind = 'effect' AND o.thread IN (SELECT value FROM json_each(?1))
ORDER BY o.seq
"""
_STOP = "SELECT record FROM thread_stops WHERE thread = ? ORDER BY record LIMIT 1"
_PAUSED = "SELECT 1 FROM threads WHERE thread = ? AND fenced"
_BUDGET = """
SELECT payload, at_seq, control_seq FROM control_effects
WHERE thread = ? AND record = ? AND outcome = 'applied' ORDER BY control_seq DESC LIMIT 1
"""
_ALL = f"SELECT {_COLUMNS} FROM control_effects e WHERE e.thread = ? ORDER BY e.control_seq DESC LIMIT ?"


async def waiting(store: Reads, threads: Sequence[str]) -> list[OutboxRow]:
    """The messages of these threads' effects that have not left, in their order."""
    rows = (await store.select(_WAITING, (orjson.dumps(list(threads)).decode(),))).rows
    return [OutboxRow(*row) for row in rows]  # pyright: ignore[reportArgumentType]


async def effect_at(store: Reads, thread: str, sequence: int) -> Effect | None:
    """What became of the record at `sequence` of the control stream; None while that is not known."""
    rows = (await store.select(EFFECTS, (orjson.dumps([(thread, sequence)]).decode(),))).rows
    return Effect(*rows[0]) if rows else None  # pyright: ignore[reportArgumentType]


async def first_of_key(store: Reads, thread: str, key: str) -> tuple[bool, int, Effect | None]:
    """Whether the store knows `thread`, how many effects it has, and the first of them under a step key: what its
    repetitions repeat.
    """
    known, count, *row = (await store.select(_FIRST, (thread, key))).rows[0]
    return bool(known), cast(int, count), None if row[0] is None else Effect(*row)  # pyright: ignore[reportArgumentType]


async def effects(store: Reads, thread: str, limit: int) -> list[Effect]:
    """What the thread was told, the newest first."""
    return [Effect(*row) for row in (await store.select(_ALL, (thread, limit))).rows]  # pyright: ignore[reportArgumentType]


async def stopped(store: Reads, thread: str) -> str:
    """`cancel` or `close` for a thread that was told so, a cancellation before a closing; else empty."""
    rows = (await store.select(_STOP, (thread,))).rows
    return cast(str, rows[0][0]) if rows else ""


async def standing(store: Reads, thread: str) -> Literal["open", "paused", "closed", "cancelled"]:
    """How the thread stands by what it was told; one that was merged into another is not told so."""
    if record := await stopped(store, thread):
        return "cancelled" if record == CANCEL else "closed"
    return "paused" if (await store.select(_PAUSED, (thread,))).rows else "open"


async def budget_of(store: Reads, thread: str) -> tuple[SetBudget, int, int] | None:
    """What the thread's runs may still spend, the cursor and the control sequence from which on that counts; None when
    nobody set it.
    """
    rows = (await store.select(_BUDGET, (thread, BUDGET))).rows
    if not rows:
        return None
    payload, at_seq, sequence = cast("tuple[str, int, int]", rows[0])
    return SetBudget.model_validate_json(payload), at_seq, sequence
