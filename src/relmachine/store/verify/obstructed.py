"""Verification of obstructions: each is what two threads had against each other when the merge met it first."""

from __future__ import annotations

from collections import Counter
from typing import cast

from relmachine.kernel.glue import clashes
from relmachine.machine.plan import Plan
from relmachine.store import tables
from relmachine.store.joined import Joined
from relmachine.store.points import table_rows
from relmachine.store.port import Reads
from relmachine.store.verify.fault import Fault, shown
from relmachine.store.verify.records import EVENTS_MAX
from relmachine.store.verify.steps import Row

_MERGES = "SELECT DISTINCT thread, other, seq FROM obstructions ORDER BY thread, other, seq"
_REFUSED = "SELECT 1 FROM rejections WHERE thread = ? AND seq = ? AND step = '_close' AND code = 'obstructed'"
_STRAY = """
SELECT r.obstruction_id, r.thread, r.seq FROM resolutions r
LEFT JOIN obstructions o ON o.obstruction_id = r.obstruction_id
WHERE o.thread IS NOT r.thread OR o.seq > r.seq OR r.keep NOT IN (o.thread, o.other) LIMIT 1
"""


async def check_obstructions(store: Reads, plan: Plan, counts: Counter[str]) -> Fault | None:
    """The first obstruction that the two threads do not give, and the first resolution of none."""

    async def ask(sql: str, parameters: object) -> tuple[Row, ...]:
        return (await store.select(sql, cast("tuple[object, ...]", parameters))).rows

    for row in (await store.select(_MERGES)).rows:
        thread, other, sequence = cast("tuple[str, str, int]", row)
        if not (await store.select(_REFUSED, (other, sequence - 1))).rows:
            return Fault(thread, sequence, "", "obstructions: of a merge that was not refused for them", other, "")
        difference = await Joined(ask).difference(thread, other, sequence - 1, EVENTS_MAX - 1)
        given = set(() if difference is None else clashes(plan, difference, sequence, EVENTS_MAX).rows)
        where = "thread = ? AND other = ? AND seq = ?"
        for stored in await table_rows(store, tables.OBSTRUCTIONS, where, thread, other, sequence):
            if stored not in given:
                return Fault(thread, sequence, "", "obstructions: no such pair of events", shown(stored), "")
            counts["obstructions"] += 1
    for identity, thread, sequence in (await store.select(_STRAY)).rows:
        return Fault(cast(str, thread), cast(int, sequence), "", "resolutions: of no obstruction", shown(identity), "")
    return None
