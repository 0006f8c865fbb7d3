"""What one turn asks the store to write: rows in the column order of `schema.sql`, nothing hidden behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from relmachine.kernel.state import ThreadState


class EventRow(NamedTuple):
    """One event. `payload`, `parents` and `verdicts` are JSON text."""

    event_id: str
    genesis: str
    step: str
    step_key: str
    tier: int
    payload: str
    payload_digest: str
    contributions_digest: str
    parents: str
    plan_digest: str
    lifecycle: str
    verdicts: str


class ThreadEventRow(NamedTuple):
    """Where in a thread an event came. `evidence` is JSON: principal, time, trace.

    `seq` is the stream sequence of the message that made it part of the thread's history: its own, or that of the fork
    or merge that brought it, which brings many; `place` numbers those from 0.
    """

    thread: str
    seq: int
    event_id: str
    history_id: str
    evidence: str
    place: int = 0


class HistoryRow(NamedTuple):
    """One history. `normal_form_ref` is the JSON array of its sorted maximal events, from which H recomputes its id."""

    history_id: str
    depth: int
    tier: int
    normal_form_ref: str
    fiber_id: str
    section_digest: str


class ExtensionRow(NamedTuple):
    """Covering pair of the prefix order: `target` is `source` with one event of type `step` more."""

    source: str
    target: str
    step: str


class ClaimRow(NamedTuple):
    """One touch of a claim by an event."""

    event_id: str
    claim: str
    touch: str


class ContributionRow(NamedTuple):
    """One contribution of an event to a field; `value` is canonical JSON."""

    event_id: str
    field: str
    value: str


class ReceiptRow(NamedTuple):
    """The recorded outcome of a step key. `outcome` is JSON."""

    thread: str
    step_key: str
    step: str
    payload_digest: str
    seq: int
    outcome: str


class RejectionRow(NamedTuple):
    """A refused step. `witness` is JSON; `step_key` is empty when the message had none."""

    thread: str
    seq: int
    step: str
    step_key: str
    gate: str
    code: str
    sentence: str
    witness: str
    lifecycle: str


class TransitionRow(NamedTuple):
    """A claim newly settled or superseded by the step at `seq`."""

    thread: str
    seq: int
    claim: str
    kind: Literal["newly", "superseded"]
    history_before: str
    history_after: str


class OutboxRow(NamedTuple):
    """A message that leaves after the commit, in order of `seq` per (kind, thread). `body` is JSON."""

    thread: str
    seq: int
    kind: Literal["journal", "out", "rejected", "effect"]
    body: str


class ControlRow(NamedTuple):
    """A control record that took effect. `record` is its step token; `payload` and `evidence` are JSON."""

    thread: str
    seq: int
    record: str
    step_key: str
    payload: str
    evidence: str


class ObstructionRow(NamedTuple):
    """Two sides that keep `other` from being merged into `thread`; `seq` is the merge record that met them first.

    `left_side` is that of `thread`, `right_side` that of `other`: JSON objects with `events` and `value`. `witness` is
    the JSON array of the reasons why the steps depend on each other.
    """

    obstruction_id: str
    thread: str
    other: str
    seq: int
    disagreement: str
    field: str
    witness: str
    left_side: str
    right_side: str


class ResolutionRow(NamedTuple):
    """Who resolved an obstruction: the side of thread `keep` stays, the other is left out of further merges."""

    obstruction_id: str
    thread: str
    seq: int
    keep: str
    reason: str
    principal: str


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
