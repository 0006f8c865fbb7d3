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
    """A message that leaves after the commit, in order of `seq` per (kind, thread). `body` is JSON.

    Of the kind `step` it is an array of envelopes: steps that the turn's events propose for their thread.
    """

    thread: str
    seq: int
    kind: Literal["journal", "out", "rejected", "step", "effect"]
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


class RunRow(NamedTuple):
    """A step that runs outside its turn, opened at `seq` because every gate let it begin. JSON: payload, evidence."""

    thread: str
    seq: int
    step: str
    step_key: str
    payload: str
    payload_digest: str
    frozen_digest: str
    evidence: str


class AttemptRow(NamedTuple):
    """The run of `seq` begins, or begins again because it was overtaken: `view` is the digest of what it sees then."""

    thread: str
    seq: int
    attempt: int
    at_seq: int
    view: str


class AnswerRow(NamedTuple):
    """What came of an attempt, by the record at `at_seq`. `said` is JSON: the answer but for what has rows."""

    thread: str
    seq: int
    attempt: int
    at_seq: int
    reason: str
    frozen_digest: str
    said: str


class RunEndRow(NamedTuple):
    """How the run ended, once. `outcome` is JSON, as in receipts."""

    thread: str
    seq: int
    at_seq: int
    lifecycle: str
    outcome: str


class FrozenRow(NamedTuple):
    """A frozen plan by its digest."""

    frozen_digest: str
    content: str


class DecisionRow(NamedTuple):
    """One decision of an attempt; see `kernel.answer.Decision`."""

    thread: str
    seq: int
    attempt: int
    place: int
    kind: str
    name: str
    asked: str
    value: str
    error: str
    tokens: int
    cost: float
    seal: str


class IterationRow(NamedTuple):
    """One pass of an attempt; see `kernel.answer.Pass`."""

    thread: str
    seq: int
    attempt: int
    number: int
    decision: str
    tool: str
    input: str
    output: str
    error: str
    state: str


class HeldRow(NamedTuple):
    """A step that waits at `seq` for the claims of `missing`. JSON: payload, missing (an array of names), evidence."""

    thread: str
    seq: int
    step: str
    step_key: str
    payload: str
    payload_digest: str
    missing: str
    evidence: str


class HeldEndRow(NamedTuple):
    """What became of the step held at `seq`, by the release at `at_seq`. `outcome` is JSON, as in receipts.

    `lifecycle` is that of a committed step, or of a refused one: empty when it was never opened.
    """

    thread: str
    seq: int
    at_seq: int
    lifecycle: str
    outcome: str


@dataclass(frozen=True, slots=True)
class RunRows:
    """What a turn writes of one run."""

    runs: tuple[RunRow, ...] = ()
    attempts: tuple[AttemptRow, ...] = ()
    answers: tuple[AnswerRow, ...] = ()
    ends: tuple[RunEndRow, ...] = ()
    plans: tuple[FrozenRow, ...] = ()
    decisions: tuple[DecisionRow, ...] = ()
    iterations: tuple[IterationRow, ...] = ()


NO_RUN = RunRows()
"""Of a turn that neither opened nor answered one."""


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
