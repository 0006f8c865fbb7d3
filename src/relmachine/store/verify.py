"""Verification: every id, digest and derived row of a store, computed again from its events.

The events are put through the kernel's own turn once more, thread by thread and step by step; what it gives must be
what is stored. Nothing is trusted but the declaration, whose laws digest the genesis ids contain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from relmachine.errors import Code, RelmError
from relmachine.machine.plan import Plan
from relmachine.store import tables
from relmachine.store.declaration import load_plan
from relmachine.store.opening import description
from relmachine.store.points import pages, table_rows
from relmachine.store.port import Reads
from relmachine.store.threads import threads
from relmachine.store.verify_content import FIBERS, SNAPSHOTS, check_fiber, check_snapshot
from relmachine.store.verify_thread import Fault, ThreadCheck

Progress = Callable[[int, int], None]
"""Called with (events verified, events in all)."""

_PLANS = "SELECT declaration FROM plans"
_EVENTS = "SELECT count(*) FROM thread_events"
# What the threads lead to must be all there is: a row that no event explains was put there.
_TOTALS = """
SELECT
  (SELECT count(*) FROM events) - (SELECT count(DISTINCT event_id) FROM thread_events) AS events,
  (SELECT count(*) FROM histories) - (SELECT count(DISTINCT history_id) FROM thread_events) AS histories,
  (SELECT count(*) FROM thread_events) - ?1 AS thread_events,
  (SELECT count(*) FROM rejections) - ?2 AS rejections,
  (SELECT count(*) FROM receipts) - ?3 AS receipts,
  (SELECT count(*) FROM transitions) - ?4 AS transitions,
  (SELECT count(*) FROM commits) - ?5 AS commits,
  (SELECT count(*) FROM event_claims) - (SELECT count(*) FROM claims) AS event_claims,
  (SELECT count(*) FROM event_contributions) - (SELECT count(*) FROM contributions) AS event_contributions,
  (SELECT count(*) FROM history_extensions) - (SELECT count(*) FROM histories) AS history_extensions
"""


@dataclass(frozen=True, slots=True)
class Report:
    """The verdict: how much was verified, and the first thing found wrong, None when nothing is."""

    counts: Mapping[str, int]
    fault: Fault | None

    @property
    def ok(self) -> bool:
        """Whether everything is as computed."""
        return self.fault is None


async def verify(store: Reads, progress: Progress | None = None) -> Report:
    """Verify the whole store, threads by name, each in subject order; stops at the first fault.

    Memory is bounded by a page of events, whatever the length of a thread. Errors: `limit_exceeded` when the store was
    opened with too little time for a count over a whole table, `unreachable`.
    """
    counts: Counter[str] = Counter()
    try:
        fault = await _first_fault(store, counts, progress)
    except (ValueError, KeyError, TypeError, IndexError, RelmError) as error:
        if isinstance(error, RelmError) and error.code in (Code.LIMIT_EXCEEDED, Code.UNREACHABLE):
            raise
        fault = Fault("", 0, "", "the store's tables cannot be read", "", f"{type(error).__name__}: {error}")
    return Report(dict(counts), fault)


async def _first_fault(store: Reads, counts: Counter[str], progress: Progress | None) -> Fault | None:
    plans = {plan.digest: plan for plan in await _plans(store)}
    for plan in plans.values():
        fault = await _described(store, plan)
        if fault is not None:
            return fault
    total = cast(int, (await store.select(_EVENTS)).rows[0][0])
    for line in await threads(store):
        fault = await ThreadCheck(store, plans, line.thread, counts).run()
        if fault is not None:
            return fault
        counts["threads"] += 1
        if progress is not None:
            progress(counts["events"], total)
    return await _fibers(store, counts) or await _snapshots(store, counts) or await _strangers(store, counts)


async def _plans(store: Reads) -> list[Plan]:
    return [load_plan(cast(str, row[0])) for row in (await store.select(_PLANS)).rows]


async def _described(store: Reads, plan: Plan) -> Fault | None:
    for target, computed in description(plan).items():
        found = await table_rows(store, target)
        if target is tables.META:
            named = {row[0] for row in computed}
            found = [row for row in found if row[0] in named]
        if found != sorted(computed):
            return Fault("", 0, "", f"{target.name}: not what the plan declares", str(found), str(sorted(computed)))
    return None


async def _fibers(store: Reads, counts: Counter[str]) -> Fault | None:
    async for page in pages(store, FIBERS, (), ("",)):
        for row in page.rows:
            differs = await check_fiber(store, cast(str, row[0]))
            if differs is not None:
                return Fault("", 0, "", f"fiber {row[0]}: {differs}", "", "")
            counts["fibers"] += 1
    return None


async def _snapshots(store: Reads, counts: Counter[str]) -> Fault | None:
    async for page in pages(store, SNAPSHOTS, (), ("",)):
        for row in cast(tuple[tuple[str, str, int, str], ...], page.rows):
            history, thread, seq, stored = row
            computed = await check_snapshot(store, thread, seq, history)
            if computed != stored:
                return Fault(thread, seq, "", "section_snapshots.section_data", stored, computed)
            counts["section_snapshots"] += 1
    return None


async def _strangers(store: Reads, counts: Counter[str]) -> Fault | None:
    known = [counts[name] for name in ("events", "rejections", "receipts", "transitions", "commits")]
    for table, surplus in (await store.select(_TOTALS, known)).dicts()[0].items():
        if surplus:
            return Fault("", 0, "", f"{table}: rows that no event explains, or rows missing", str(surplus), "0")
    return None
