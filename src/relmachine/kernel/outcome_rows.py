"""Rows that tell what became of a turn's steps: to whoever asks, and by the outbox to whoever listens."""

from __future__ import annotations

from typing import Literal, NamedTuple


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
