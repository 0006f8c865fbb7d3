"""Answers about threads, sections, claims and refused steps, and what is computed from them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from relmachine.errors import Code
from relmachine.observe.answers import Answer
from relmachine.observe.answers_lag import Lag

Scalar = str | int | float | bool
Folded = Scalar | list[Scalar] | None


class ThreadLine(Answer):
    """A thread and where it stands."""

    thread: str = Field(description="Token, as in subjects and URLs")
    label: str = Field(description="The name that people gave")
    sequence: int = Field(description="Cursor: every stream sequence of the thread up to it is decided")
    history: str = Field(description="Id of its present history")
    epoch: int
    depth: int = Field(description="Number of events")
    tier: int = Field(description="Number of tiers")
    rejections: int = Field(description="Number of refused steps")


class Threads(Answer):
    """One page of the threads, by token."""

    threads: list[ThreadLine]
    after: str | None = Field(description="Ask with this `after` for the next page; null on the last")


class Thread(ThreadLine):
    """A thread, where it stands, and what its history is."""

    normal_form: str = Field(description="Tiers in order, `(a b)(c)`; steps of one tier commute")
    settled: list[str] = Field(description="Claims that hold for good, sorted")
    fiber: str | None = Field(description="Id of the history's fiber; null while the history is empty")
    section_digest: str | None = Field(description="Digest of all contributions; null while the history is empty")
    standing: Literal["open", "paused", "closed", "cancelled"] = Field(
        description="What it was told ahead of its steps"
    )
    runs_open: int = Field(description="Steps that run outside their turn and have not ended")


class Event(Answer):
    """One event of a thread."""

    sequence: int
    place: int = Field(description="Among the events that one fork or merge brought; else 0")
    step: str
    tier: int
    event: str = Field(description="Event id: what it says and everything before it")
    history: str = Field(description="Id of the history it led to")
    parents: list[str] = Field(description="Events it directly comes after")
    step_key: str = Field(description="JSON array of the step's source and id")
    payload: dict[str, object]
    evidence: dict[str, str | int] = Field(
        description="Who published it, when, the trace it is part of, hops from the first step"
    )


class Events(Answer):
    """One page of a thread's events, in the order of the stream."""

    thread: str
    events: list[Event]
    after: int | None = Field(description="Ask with this `after` for the next page; null on the last")


class Settled(Answer):
    """The claims that hold for good in a thread's present history."""

    thread: str
    history: str
    sequence: int = Field(description="Stream sequence of the history's last event")
    claims: list[str] = Field(description="Sorted")


class Section(Answer):
    """The fields' values in a history of a thread."""

    thread: str
    history: str
    sequence: int = Field(description="Stream sequence of the history's last event")
    section_digest: str | None = Field(description="Digest of all contributions; null for the empty history")
    fields: dict[str, Folded] = Field(description="What all events contributed, folded by each field's reducer")
    settled_fields: dict[str, Folded] = Field(description="The same from settled events only")


class Touch(Answer):
    """The step that asserted, contested or vetoed a claim."""

    sequence: int
    event: str
    step: str
    principal: str = Field(description="Who published it")


class ClaimStanding(Answer):
    """How one claim stands, and the steps that touched it last."""

    claim: str
    standing: Literal["settled", "effective", "unsupported", "contested", "vetoed", "absent"]
    requires: list[str] = Field(description="Claims it directly rests on")
    asserted: Touch | None
    contested: Touch | None
    vetoed: Touch | None


class Why(Answer):
    """Why a claim holds or does not: how it stands, and how everything it rests on does, nearest first."""

    thread: str
    history: str
    claim: ClaimStanding
    rests_on: list[ClaimStanding]


class Rejection(Answer):
    """A refused step."""

    sequence: int
    thread: str
    step: str
    step_key: str = Field(description="JSON array of the step's source and id; empty when it had none")
    gate: str
    code: Code
    sentence: str
    witness: dict[str, object]
    lifecycle: str = Field(description="Phases it went through; empty when it was refused before it opened")


class Rejections(Answer):
    """One page of refused steps, the newest first."""

    rejections: list[Rejection]
    before: int | None = Field(description="Ask with this `before` for the next page; null on the last")


class Knowledge(Answer):
    """σ(a) or Δ(a) for an element a of a history's fiber."""

    history: str
    fiber: str = Field(description="Fiber id; histories that assert the same claims share it")
    element: list[str] = Field(description="a, as asked, sorted")
    result: list[str] = Field(description="Claims of σ(a) or Δ(a), sorted; never fewer than a")
    fixed: bool = Field(description="Whether the result is a itself")


class Status(Answer):
    """The node, how far it is behind (null when the stream does not answer), and the figures over its store (null when
    the store is too large to count in time)."""

    node: dict[str, object]
    lag: Lag | None
    figures: dict[str, object] | None
