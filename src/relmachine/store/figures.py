"""Figures over a whole store: what was published and what became of it. SQL over its tables, never counters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import orjson

from relmachine.algebra.posets import Poset
from relmachine.store.points import pages
from relmachine.store.port import Reads

FIBER_SMALL_ELEMENTS_MAX = 64
"""A fiber with at most so many elements counts as small."""

FIBER_ELEMENTS_COUNTED_MAX = 65_536
"""Elements of larger fibers are not counted."""

_FIGURES = Path(__file__).with_name("figures.sql").read_text(encoding="utf-8")
_TOTALS = """
SELECT (SELECT count(*) FROM thread_events) - (SELECT count(*) FROM controls JOIN thread_events USING (thread, seq)),
  (SELECT count(*) FROM rejections)
"""
_BEHIND = """
SELECT count(*) FROM json_each(?) last LEFT JOIN threads t ON t.thread = last.key
WHERE t.seq IS NULL OR t.seq < last.value
"""
_FIBER_POINTS = """
SELECT f.fiber_id,
  (SELECT json_group_object(p.point, json(p.up)) FROM fiber_points p WHERE p.fiber_id = f.fiber_id)
FROM fibers f WHERE f.points > 0 AND f.fiber_id > ? ORDER BY f.fiber_id LIMIT 500
"""


@dataclass(frozen=True, slots=True)
class Totals:
    """Steps decided so far."""

    committed: int
    rejected: int


async def totals(store: Reads) -> Totals:
    """Committed and refused steps of all threads."""
    committed, rejected = (await store.select(_TOTALS)).rows[0]
    return Totals(cast(int, committed), cast(int, rejected))


async def threads_behind(store: Reads, last: Mapping[str, int]) -> int:
    """How many threads of `last` have a cursor below the stream sequence given there."""
    return cast(int, (await store.select(_BEHIND, (orjson.dumps(dict(last)).decode(),))).rows[0][0])


async def figures(store: Reads) -> dict[str, object]:
    """The figures as one JSON object.

    `threads, published, committed, rejected, rejected_by` (code → count)`, orderings, histories` (distinct sequences
    and distinct normal forms of committed step names per thread)`, newly_settled, superseded, settled,
    settled_by_claim, fibers` (distinct, without the empty one)`, fibers_small` (of at most 64 elements)`,
    fibers_largest` (elements; null beyond `FIBER_ELEMENTS_COUNTED_MAX`).
    """
    found = (await store.select(_FIGURES)).dicts()[0]
    for name in ("rejected_by", "settled_by_claim"):
        found[name] = orjson.loads(cast(str, found[name]))
    return {**found, **await _fiber_sizes(store)}


async def _fiber_sizes(store: Reads) -> dict[str, object]:
    small, largest, uncounted = 0, 0, False
    async for page in pages(store, _FIBER_POINTS, (), ("",)):
        for _, points in page.rows:
            poset = Poset.from_prerequisites(cast(dict[str, list[str]], orjson.loads(cast(str, points))))
            count = poset.up_set_count(FIBER_ELEMENTS_COUNTED_MAX)
            uncounted = uncounted or count is None
            small += count is not None and count <= FIBER_SMALL_ELEMENTS_MAX
            largest = max(largest, count or 0)
    return {"fibers_small": small, "fibers_largest": None if uncounted else largest}
