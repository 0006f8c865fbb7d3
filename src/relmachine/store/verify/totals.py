"""Verification that the rows that the threads lead to are all there are: any other was put there."""

from __future__ import annotations

from collections.abc import Mapping

from relmachine.store.port import Reads
from relmachine.store.verify.fault import Fault, elsewhere

_COUNTED = ("events", "histories", "thread_events", "rejections", "receipts", "transitions", "commits", "threads")
_HANGING = ("event_claims", "event_contributions", "history_extensions", "outbox", "fibers", "section_snapshots")
_OF_FIBERS = ("fiber_points", "fiber_elements", "fiber_meet", "fiber_join", "fiber_impl", "nuclei")
# Relations that no turn writes yet.
_EMPTY = (
    "held",
    "decisions",
    "iterations",
    "obstructions",
    "units",
    "restriction_maps",
    "peers",
    "revocations",
)
_NAMES = {"event_claims": "claims", "event_contributions": "contributions", "history_extensions": "extensions"}
_COUNTS = f"SELECT {', '.join(f'(SELECT count(*) FROM {name}) AS {name}' for name in (*_COUNTED, *_HANGING, *_EMPTY))}"
_STRANGE_FIBERS = f"""
SELECT (SELECT count(*) FROM fibers WHERE fiber_id NOT IN (SELECT fiber_id FROM histories)) AS fibers,
  {
    ", ".join(
        f"(SELECT count(*) FROM {name} WHERE fiber_id NOT IN (SELECT fiber_id FROM fibers)) AS {name}"
        for name in _OF_FIBERS
    )
}
"""


async def check_totals(store: Reads, counts: Mapping[str, int]) -> Fault | None:
    """The first table that holds more, or less, than was verified; `counts` are rows verified by relation."""
    found = (await store.select(_COUNTS)).dicts()[0]
    for table, rows in found.items():
        verified = counts.get(_NAMES.get(table, table), 0)
        if rows != verified:
            return elsewhere(f"{table}: rows that no event explains, or rows missing", rows, verified)
    for table, rows in (await store.select(_STRANGE_FIBERS)).dicts()[0].items():
        if rows:
            return elsewhere(f"{table}: rows of a fiber that no history has", rows, 0)
    return None
