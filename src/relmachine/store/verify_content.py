"""Verification of what is addressed by content beside the events: fibers, their tables, and section snapshots."""

from __future__ import annotations

from typing import cast

from relmachine.machine.plan import Reducer
from relmachine.store.fiber_reading import read_fiber
from relmachine.store.fiber_rows import fiber_rows
from relmachine.store.points import Point, table_rows
from relmachine.store.port import Reads
from relmachine.store.sections import contributions_until
from relmachine.store.snapshots import snapshot_text

FIBERS = "SELECT fiber_id FROM fibers WHERE fiber_id > ? ORDER BY fiber_id LIMIT 500"
SNAPSHOTS = """
SELECT history_id, thread, seq, section_data FROM section_snapshots WHERE history_id > ? ORDER BY history_id LIMIT 10
"""
_FIELDS = "SELECT field, reducer FROM accord_fields"
_ELEMENTS = "SELECT count(*) FROM fiber_elements WHERE fiber_id = ?"


async def check_fiber(store: Reads, fiber_id: str) -> str | None:
    """What is wrong with a fiber's rows: its id, its points' laws, or a derived table; None when nothing is."""
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


async def check_snapshot(store: Reads, thread: str, sequence: int, history: str) -> str:
    """The `section_data` that a snapshot there has when it is computed from the events alone."""
    rows = (await store.select(_FIELDS)).rows
    reducers = {cast(str, name): Reducer(cast(str, reducer)) for name, reducer in rows}
    return snapshot_text(await contributions_until(store, Point(thread, history, sequence)), reducers)
