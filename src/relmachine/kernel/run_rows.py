"""Rows of a run: its opening, its attempts, what was decided in them, its answers and its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


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
