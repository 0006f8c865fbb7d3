"""Verification: every id, digest and derived row of a store, computed again from its events.

The events are put through gate 3 and the kernel's own turn once more, thread by thread and step by step; what they
give must be what is stored. Nothing is trusted but the declaration, whose laws digest the genesis ids contain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from relmachine.errors import Code, RelmError
from relmachine.store.port import Reads, Stills
from relmachine.store.verify.content import check_fibers, check_snapshots
from relmachine.store.verify.evidence import check_evidence
from relmachine.store.verify.fault import Fault, elsewhere, reason
from relmachine.store.verify.lane import check_lane
from relmachine.store.verify.obstructed import check_obstructions
from relmachine.store.verify.plans import check_description, read_plans
from relmachine.store.verify.threads import Walk
from relmachine.store.verify.totals import check_totals

Progress = Callable[[int, int], None]
"""Called with (events verified, events in all)."""

_EVENTS = "SELECT count(*) FROM events"


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

    What is committed in the meantime does not show, since every store is asked about one moment (`Stills`); what cannot
    be has to be at rest. Memory is bounded by a page of events, whatever the length of a thread. Errors:
    `limit_exceeded` when the store was opened with too little time for a count over a whole table, `unreachable`.
    """
    if isinstance(store, Stills):
        async with store.still() as resting:
            return await _verified(resting, progress)
    return await _verified(store, progress)


async def _verified(store: Reads, progress: Progress | None) -> Report:
    counts: Counter[str] = Counter()
    try:
        fault = await _first_fault(store, counts, progress)
    except Exception as error:  # a damaged row may break the reading of it anywhere
        if isinstance(error, RelmError) and error.code in (Code.LIMIT_EXCEEDED, Code.UNREACHABLE):
            raise
        fault = elsewhere("the store's tables cannot be read", "", reason(error))
    return Report(dict(counts), fault)


async def _first_fault(store: Reads, counts: Counter[str], progress: Progress | None) -> Fault | None:
    plans = await read_plans(store)
    if isinstance(plans, Fault):
        return plans
    fault = await check_description(store, plans)
    if fault is not None:
        return fault
    total = cast(int, (await store.select(_EVENTS)).rows[0][0])

    def moved() -> None:
        if progress is not None:
            progress(counts["events"], total)

    return (
        await Walk(store, plans, list(plans.values())[-1], counts, moved).run()
        or await check_obstructions(store, list(plans.values())[-1], counts)
        or await check_lane(store, list(plans.values())[-1], counts)
        or await check_fibers(store, counts)
        or await check_snapshots(store, counts)
        or await check_evidence(store, counts)
        or await check_totals(store, counts)
    )
