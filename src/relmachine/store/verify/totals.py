"""Verification that the rows that the threads lead to are all there are: any other was put there."""

from __future__ import annotations

from collections.abc import Mapping

from relmachine.store.port import Reads
from relmachine.store.verify.fault import Fault, elsewhere

# Each row of these belongs to one step or record, and was counted with it.
_COUNTED = (
    "thread_events",
    "rejections",
    "receipts",
    "transitions",
    "commits",
    "threads",
    "controls",
    "control_effects",
    "foretold",
    "obstructions",
    "resolutions",
    "runs",
    "run_attempts",
    "run_answers",
    "run_ends",
    "decisions",
    "iterations",
    "held",
    "held_ends",
    "outbox",
    "fibers",
    "section_snapshots",
)
_OF_FIBERS = ("fiber_points", "fiber_elements", "fiber_meet", "fiber_join", "fiber_impl", "nuclei")
# Commits whose thread did not move, and relations that no turn writes yet.
_EMPTY = (
    "under_way",
    "units",
    "peers",
    "revocations",
)
_COUNTS = f"SELECT {', '.join(f'(SELECT count(*) FROM {name}) AS {name}' for name in (*_COUNTED, *_EMPTY))}"
# Threads share events and histories, so these are compared with what the threads' events name, which were all verified.
_CONTENT = """
SELECT
  (SELECT count(*) FROM events) - (SELECT count(DISTINCT event_id) FROM thread_events) AS events,
  (SELECT count(*) FROM histories) - (SELECT count(DISTINCT history_id) FROM thread_events) AS histories,
  (SELECT count(*) FROM event_claims WHERE event NOT IN (SELECT number FROM events)) AS event_claims,
  (SELECT count(*) FROM event_contributions WHERE event NOT IN (SELECT number FROM events)) AS event_contributions,
  (SELECT count(*) FROM history_extensions) - (SELECT count(*) FROM (
    SELECT DISTINCT te.history_id, e.step FROM thread_events te JOIN events e ON e.event_id = te.event_id))
    AS history_extensions,
  (SELECT count(*) FROM frozen_plans) - (SELECT count(*) FROM (
    SELECT frozen_digest FROM runs UNION SELECT frozen_digest FROM run_answers)) AS frozen_plans,
  (SELECT count(*) FROM (
    SELECT r.thread, r.seq FROM runs r WHERE NOT EXISTS (
      SELECT 1 FROM run_ends e WHERE e.thread = r.thread AND e.seq = r.seq)
    EXCEPT SELECT thread, seq FROM runs_open)) +
  (SELECT count(*) FROM runs_open o WHERE NOT EXISTS (
      SELECT 1 FROM runs r WHERE r.thread = o.thread AND r.seq = o.seq)
    OR EXISTS (SELECT 1 FROM run_ends e WHERE e.thread = o.thread AND e.seq = o.seq)) AS runs_open,
  (SELECT count(*) FROM run_drafts d JOIN run_answers a
    ON a.thread = d.thread AND a.seq = d.seq AND a.attempt = d.attempt) AS run_drafts
"""
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
        verified = counts.get(table, 0)
        if rows != verified:
            return elsewhere(f"{table}: rows that no event explains, or rows missing", rows, verified)
    for table, rows in (await store.select(_CONTENT)).dicts()[0].items():
        if rows:
            return elsewhere(f"{table}: rows that no event explains, or rows missing", f"{rows:+}", 0)
    for table, rows in (await store.select(_STRANGE_FIBERS)).dicts()[0].items():
        if rows:
            return elsewhere(f"{table}: rows of a fiber that no history has", rows, 0)
    return None
