"""Rows of steps that wait: that they are held, and what became of them."""

from __future__ import annotations

from typing import NamedTuple


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
