"""Rows of control records, and of what forks and merges leave to be resolved."""

from __future__ import annotations

from typing import NamedTuple


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
