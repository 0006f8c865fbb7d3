"""All that can be asked of a store, in one place: for the CLI, the MCP server and the pages.

Every question is SQL through `Reads.select`, so it works on a running node's store and on a file alike.
"""

from __future__ import annotations

from relmachine.store.fiber_reading import fiber
from relmachine.store.figures import Totals, figures, threads_behind, totals
from relmachine.store.lagging import UnsentRows, cursors, unsent_by_feed
from relmachine.store.lane import standing
from relmachine.store.lineage import Closed, Forked, Lineage, Merged, lineage
from relmachine.store.obstructed import (
    ObstructionLine,
    ObstructionView,
    Resolution,
    SideEvent,
    SideView,
    obstruction,
    obstructions,
)
from relmachine.store.outcomes import (
    Rejection,
    TransitionLine,
    missing_at,
    newest_rejections,
    outcome_at,
    receipt,
    receipt_at,
    rejection,
    rejections,
    transitions_at,
)
from relmachine.store.points import At, Point, declared, resolve
from relmachine.store.port import Reads
from relmachine.store.run_reading import AttemptView, RunLine, RunView, open_runs, run, runs
from relmachine.store.sections import SectionView, section
from relmachine.store.thread_events import EventLine, events, normal_form
from relmachine.store.threads import (
    ThreadLine,
    ThreadStanding,
    newest_threads,
    settled,
    superseded,
    thread,
    threads,
)
from relmachine.store.why import ClaimLine, Standing, TouchLine, Why, standings, why

__all__ = [
    "At",
    "AttemptView",
    "ClaimLine",
    "Closed",
    "EventLine",
    "Forked",
    "Lineage",
    "Merged",
    "ObstructionLine",
    "ObstructionView",
    "Point",
    "Reads",
    "Rejection",
    "Resolution",
    "RunLine",
    "RunView",
    "SectionView",
    "SideEvent",
    "SideView",
    "Standing",
    "ThreadLine",
    "ThreadStanding",
    "Totals",
    "TouchLine",
    "TransitionLine",
    "UnsentRows",
    "Why",
    "cursors",
    "declared",
    "events",
    "fiber",
    "figures",
    "lineage",
    "missing_at",
    "newest_rejections",
    "newest_threads",
    "normal_form",
    "obstruction",
    "obstructions",
    "open_runs",
    "outcome_at",
    "receipt",
    "receipt_at",
    "rejection",
    "rejections",
    "resolve",
    "run",
    "runs",
    "section",
    "settled",
    "standing",
    "standings",
    "superseded",
    "thread",
    "threads",
    "threads_behind",
    "totals",
    "transitions_at",
    "unsent_by_feed",
    "why",
]
