"""What turns write, table by table: the rows of a commit, the same for every store."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from relmachine.algebra.fibers import Fiber
from relmachine.kernel.proposal import Proposal
from relmachine.kernel.run_rows import NO_RUN, RunRows
from relmachine.kernel.standing import fiber_of
from relmachine.kernel.state import ThreadState, dump_state, initial_state
from relmachine.kernel.thread_token import thread_label
from relmachine.machine.plan import Plan
from relmachine.store import tables
from relmachine.store.deciding import STANDS
from relmachine.store.snapshots import Texts, gather, snapshot_text
from relmachine.store.tables import Target

Rows = list[tuple[object, ...]]

HEADS = f"""
SELECT t.thread, t.head, t.seq, t.epoch, t.fenced, t.snapshot_depth
FROM json_each(?) asked JOIN threads t ON t.thread = asked.value AND {STANDS}
"""
"""Where threads stand."""

MOVE = """
UPDATE threads
SET head = moved.value ->> 1, epoch = moved.value ->> 2, seq = moved.value ->> 3, state = moved.value ->> 4
FROM json_each(?) moved WHERE thread = moved.value ->> 0
"""
"""Threads go to where their commits end, after all that the commits hold. Its parameter: `moves`."""

SENT = """
DELETE FROM outbox WHERE (seq, kind, thread) IN (SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?))
"""
"""Messages that have left."""


@dataclass(frozen=True, slots=True)
class Head:
    """A thread's row as far as the fence looks at it."""

    head: str
    seq: int
    epoch: int
    fenced: int
    snapshot_depth: int

    @classmethod
    def of_new(cls, plan: Plan, thread: str) -> Head:
        """Of a thread that has no row yet."""
        return cls(initial_state(plan, thread).head, 0, 0, 0, 0)

    def fits(self, proposal: Proposal) -> bool:
        """Whether the proposal starts where the thread stands."""
        before = proposal.before
        return not self.fenced and (self.head, self.seq, self.epoch) == (before.head, before.cursor, before.epoch)


def begin_rows(proposals: Iterable[Proposal]) -> Rows:
    """`threads` rows of threads that have none: at sequence 0, from where their first commit moves them."""
    new = [proposal.before for proposal in proposals if proposal.before.cursor == 0]
    return [(state.thread, thread_label(state.thread), state.head, 0, 0, dump_state(state)) for state in new]


def fence_rows(proposals: Iterable[Proposal]) -> Rows:
    """`commits` rows, on which the fence decides."""
    return [
        (p.before.thread, p.before.head, p.before.cursor, p.before.epoch, p.after.head, p.after.cursor)
        for p in proposals
    ]


def moved(state: ThreadState) -> tuple[object, ...]:
    """One value of the parameter of `MOVE`."""
    return (state.thread, state.head, state.epoch, state.cursor, dump_state(state))


def content_rows(proposals: Sequence[Proposal]) -> dict[Target, Rows]:
    """What the turns gathered, table by table, so that many rows go in one statement; what is referred to goes first.

    A history's place is where it was first reached.
    """
    histories: Rows = [
        (*history, at.thread, at.seq, at.place)
        for proposal in proposals
        for history, at in zip(proposal.histories, proposal.thread_events, strict=True)
    ]
    return {
        tables.EVENTS: _all(proposal.events for proposal in proposals),
        tables.HISTORIES: histories,
        tables.THREAD_EVENTS: _all(proposal.thread_events for proposal in proposals),
        tables.EXTENSIONS: _all(proposal.extensions for proposal in proposals),
        tables.CLAIMS: _all(proposal.claims for proposal in proposals),
        tables.CONTRIBUTIONS: _all(proposal.contributions for proposal in proposals),
        tables.RECEIPTS: _all(proposal.receipts for proposal in proposals),
        tables.REJECTIONS: _all(proposal.rejections for proposal in proposals),
        tables.TRANSITIONS: _all(proposal.transitions for proposal in proposals),
        tables.CONTROLS: _all(proposal.controls for proposal in proposals),
        tables.OBSTRUCTIONS: _all(proposal.obstructions for proposal in proposals),
        tables.RESOLUTIONS: _all(proposal.resolutions for proposal in proposals),
        **_run_rows([proposal.run for proposal in proposals if proposal.run is not NO_RUN]),
        tables.HELD: _all(proposal.held for proposal in proposals),
        tables.HELD_ENDS: _all(proposal.held_ends for proposal in proposals),
        tables.OUTBOX: _all(proposal.outbox for proposal in proposals),
    }


def _run_rows(runs: Sequence[RunRows]) -> dict[Target, Rows]:
    """Of the turns that opened or answered a run; most rounds have none."""
    if not runs:
        return {}
    return {
        tables.FROZEN_PLANS: _all(run.plans for run in runs),
        tables.RUNS: _all(run.runs for run in runs),
        tables.RUN_ANSWERS: _all(run.answers for run in runs),
        tables.RUN_ATTEMPTS: _all(run.attempts for run in runs),
        tables.DECISIONS: _all(run.decisions for run in runs),
        tables.ITERATIONS: _all(run.iterations for run in runs),
        tables.RUN_ENDS: _all(run.ends for run in runs),
    }


def new_fibers(plan: Plan, proposals: Iterable[Proposal], known: Collection[str]) -> dict[str, Fiber]:
    """The fibers that the turns go through, by id, without those that are known to be written."""
    masks = set(chain.from_iterable(proposal.fibers for proposal in proposals))
    found = {fiber.fiber_id: fiber for fiber in (fiber_of(plan, mask) for mask in masks)}
    return {fiber_id: fiber for fiber_id, fiber in found.items() if fiber_id not in known}


def section_data(plan: Plan, contributions: Iterable[tuple[str, str]]) -> str:
    """The text of a section snapshot: from all contributions and not from the last snapshot, so that it depends on
    the events alone.
    """
    texts = Texts()
    gather(texts, contributions)
    return snapshot_text(texts, {name: item.reducer for name, item in plan.fields.items()})


def _all(rows: Iterable[Sequence[tuple[object, ...]]]) -> Rows:
    return list(chain.from_iterable(rows))
