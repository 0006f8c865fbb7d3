"""Verification of what is addressed by content beside the events: fibers, their tables, and section snapshots."""

from __future__ import annotations

from collections import Counter
from typing import cast

from relmachine.machine.plan import Reducer
from relmachine.store.fiber_reading import read_fiber
from relmachine.store.fiber_rows import fiber_rows
from relmachine.store.points import Point, pages, table_rows
from relmachine.store.port import Reads
from relmachine.store.sections import contributions_until
from relmachine.store.snapshots import snapshot_text
from relmachine.store.verify.fault import Fault, elsewhere, reason, shown

_FIBERS = "SELECT fiber_id FROM fibers WHERE fiber_id > ? ORDER BY fiber_id LIMIT 500"
_ELEMENTS = "SELECT count(*) FROM fiber_elements WHERE fiber_id = ?"
_FIELDS = "SELECT field, reducer FROM accord_fields"
# With the history and its depth that the commit before which the snapshot was taken led to.
_SNAPSHOTS = """
SELECT s.history_id, s.thread, s.seq, s.depth, s.section_data, c.to_head, h.depth
FROM section_snapshots s
LEFT JOIN commits c ON c.thread = s.thread AND c.to_seq = s.seq
LEFT JOIN histories h ON h.history_id = c.to_head
WHERE (s.history_id, s.thread) > (?, ?) ORDER BY s.history_id, s.thread LIMIT 10
"""


async def check_fibers(store: Reads, counts: Counter[str]) -> Fault | None:
    """The first fiber whose rows are not what its points give, or whose points have another digest."""
    async for page in pages(store, _FIBERS, (), ("",)):
        for (fiber_id,) in cast("tuple[tuple[str], ...]", page.rows):
            try:
                differs = await _differs(store, fiber_id)
            except Exception as error:  # a damaged row may break the reading of it anywhere
                differs = reason(error)
            if differs is not None:
                return elsewhere(f"fiber {shown(fiber_id)}: {differs}")
            counts["fibers"] += 1
    return None


async def _differs(store: Reads, fiber_id: str) -> str | None:
    fiber = await read_fiber(store, fiber_id)
    if fiber.fiber_id != fiber_id:
        return f"its points have the digest {fiber.fiber_id}"
    broken = fiber.violation()
    if broken is not None:
        return f"its points break {broken.law}"
    listed = cast(int, (await store.select(_ELEMENTS, (fiber_id,))).rows[0][0])
    for target, computed in fiber_rows([fiber], listed).items():
        if await table_rows(store, target, "fiber_id = ?", fiber_id) != sorted(computed):
            return f"table {target.name} is not what its points give"
    return None


async def check_snapshots(store: Reads, counts: Counter[str]) -> Fault | None:
    """The first snapshot that is not of the end of a commit, or not what the contributions until there give."""
    fields = (await store.select(_FIELDS)).rows
    reducers = {cast(str, name): Reducer(cast(str, reducer)) for name, reducer in fields}
    async for page in pages(store, _SNAPSHOTS, (), ("", "")):
        for row in page.rows:
            history, thread, seq, depth, stored, head, deep = cast("tuple[str, str, int, int, str, str, int]", row)
            if (history, depth) != (head, deep):
                differs = "section_snapshots: not at the end of a commit"
                return Fault(thread, seq, "", differs, shown((history, depth)), shown((head, deep)))
            computed = snapshot_text(await contributions_until(store, Point(thread, history, seq)), reducers)
            if computed != stored:
                return Fault(thread, seq, "", "section_snapshots.section_data", shown(stored), shown(computed))
            counts["section_snapshots"] += 1
    return None
