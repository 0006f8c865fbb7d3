"""What one turn asks the store to write: rows in the column order of `schema.sql`, nothing hidden behind them."""

from __future__ import annotations

from dataclasses import dataclass

from relmachine.kernel.control_rows import ControlRow, ObstructionRow, ResolutionRow
from relmachine.kernel.event_rows import ClaimRow, ContributionRow, EventRow, ExtensionRow, HistoryRow, ThreadEventRow
from relmachine.kernel.held_rows import HeldEndRow, HeldRow
from relmachine.kernel.outcome_rows import OutboxRow, ReceiptRow, RejectionRow, TransitionRow
from relmachine.kernel.run_rows import NO_RUN, RunRows
from relmachine.kernel.state import ThreadState


@dataclass(frozen=True, slots=True)
class Proposal:
    """One turn's effect on one thread. It takes effect wholly, and only while the thread is as `before` says.

    `fibers` are the masks of claims asserted after each event, first to last.
    """

    before: ThreadState
    after: ThreadState
    events: tuple[EventRow, ...]
    thread_events: tuple[ThreadEventRow, ...]
    histories: tuple[HistoryRow, ...]
    extensions: tuple[ExtensionRow, ...]
    claims: tuple[ClaimRow, ...]
    contributions: tuple[ContributionRow, ...]
    receipts: tuple[ReceiptRow, ...]
    rejections: tuple[RejectionRow, ...]
    transitions: tuple[TransitionRow, ...]
    outbox: tuple[OutboxRow, ...]
    fibers: tuple[int, ...]
    controls: tuple[ControlRow, ...] = ()
    obstructions: tuple[ObstructionRow, ...] = ()
    resolutions: tuple[ResolutionRow, ...] = ()
    run: RunRows = NO_RUN
    held: tuple[HeldRow, ...] = ()
    held_ends: tuple[HeldEndRow, ...] = ()

    @property
    def joins(self) -> bool:
        """Whether a record brings events that are in the store already: they are not among `events`."""
        return len(self.thread_events) != len(self.events)
