"""A commit in parts, each a transaction of its own: rows of a few proposals, made before the file is waited for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from relmachine.algebra.fibers import Fiber
from relmachine.kernel.proposal import Proposal
from relmachine.machine.plan import Plan
from relmachine.store import tables
from relmachine.store.fiber_rows import fiber_rows
from relmachine.store.tables import Target
from relmachine.store.turn_rows import Rows, begin_rows, content_rows, fence_rows, new_fibers

STEPS_PER_PART_MAX = 16
"""Steps in one part. A turn is not parted. A control record waits for one part at most."""

PART_BYTES_MAX = 256 * 1024
"""Bytes of payloads, records of runs and messages in one part: what a single step may have at most."""


@dataclass(frozen=True, slots=True)
class Part:
    """Proposals of distinct threads, and what is written of them: `rows` in order, then `moves`."""

    proposals: Sequence[Proposal]
    moving: Sequence[Proposal]
    """Those whose thread moves; the others only say where it stands."""
    fibers: dict[str, Fiber]
    """By id, those that nobody is known to have written."""
    rows: dict[Target, Rows]

    @property
    def bytes_(self) -> int:
        """About how much its rows weigh."""
        return sum(_bytes(proposal) for proposal in self.proposals)

    @property
    def steps(self) -> int:
        """How many steps the turns decided on."""
        return sum(len(proposal.receipts) for proposal in self.proposals)


def part_of(plan: Plan, proposals: Sequence[Proposal], fibers_known: set[str], elements_max: int) -> Part:
    """Make the rows. Of fibers with more than `elements_max` elements, those of their points alone."""
    moving = [proposal for proposal in proposals if proposal.after.cursor != proposal.before.cursor]
    fibers = new_fibers(plan, moving, fibers_known)
    rows = {
        tables.THREADS: begin_rows(moving),
        tables.COMMITS: fence_rows(moving),
        **fiber_rows(fibers.values(), elements_max),
        **content_rows(moving),
    }
    return Part(proposals, moving, fibers, rows)


def first_part(proposals: Sequence[Proposal], steps_max: int) -> Sequence[Proposal]:
    """The first of the proposals, of so many steps and few bytes; one in any case, if there is one."""
    steps = bytes_ = 0
    for place, proposal in enumerate(proposals):
        steps, bytes_ = steps + _steps(proposal), bytes_ + _bytes(proposal)
        if place and (steps > steps_max or bytes_ > PART_BYTES_MAX):
            return proposals[:place]
    return proposals


def _steps(proposal: Proposal) -> int:
    """How many steps it decides, or brings by one record; what else a turn does counts as one."""
    return max(1, len(proposal.receipts), len(proposal.thread_events))


def _bytes(proposal: Proposal) -> int:
    """About how much its rows weigh, by those that may be large."""
    run = proposal.run
    return (
        sum(len(row.payload) for rows in (proposal.events, run.runs, proposal.held) for row in rows)
        + sum(len(row.value) for row in proposal.contributions)
        + sum(len(row.body) for row in proposal.outbox)
        + sum(len(row.said) for row in run.answers)
        + sum(len(row.value) for row in run.decisions)
        + sum(len(row.input) + len(row.output) for row in run.iterations)
    )
