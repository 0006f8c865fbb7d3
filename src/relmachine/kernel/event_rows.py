"""Rows of events: what they are, touch and contribute, where they came, and the histories they make."""

from __future__ import annotations

from typing import NamedTuple


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
