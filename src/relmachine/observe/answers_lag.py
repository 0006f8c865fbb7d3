"""Answers about lag: lanes and threads."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from relmachine.observe.answers import Answer


class Lane(Answer):
    """One way through the nodes: steps in, or a feed out."""

    lane: Literal["steps", "journal", "out", "rejected"]
    newest: int = Field(description="Position of the last message in the lane's stream; 0 while there is none")
    waiting: int | None = Field(
        description="Steps that are not known to be decided; for a feed the rows in the store that are not known to be "
        "on it, null when the store does not answer"
    )
    undelivered: int | None = Field(description="Steps that no node was told of yet; null for a feed")
    unacknowledged: int | None = Field(description="Steps that nodes have or handed back; null for a feed")
    oldest_sequence: int | None = Field(
        description="Stream sequence of the step that waits longest; null when none does"
    )
    oldest_seconds: float | None = Field(description="How long ago that step was published")


class ThreadLag(Answer):
    """How far a thread is behind the stream."""

    thread: str = Field(description="Token")
    label: str = Field(description="The name that people gave")
    cursor: int | None = Field(
        description="Every sequence of the thread up to it is decided; 0 when none is, null when the store is silent"
    )
    newest: int = Field(description="Sequence of the thread's last step on the stream; 0 when it has none")
    behind: int = Field(description="Steps above the cursor")
    oldest_sequence: int | None = Field(description="The first of them; null when there is none")
    oldest_seconds: float | None = Field(description="How long ago it was published")


class InHand(Answer):
    """What the node that answers holds in memory."""

    hints: int = Field(description="Hints that it has not answered")
    threads: int = Field(description="Threads with hints that no round has taken")
    feed_rows: int = Field(description="Rows on their way to a feed")
    publishers_deferred: int = Field(description="How many publishers it told to come again, since it started")
    undecided_steps_max: int = Field(description="Waiting steps from which on it tells them so")
    telemetry_shed: int = Field(description="Messages of telemetry that it dropped, since it started")


class Lag(Answer):
    """How far behind the stream everything is."""

    node: InHand
    lanes: list[Lane]
    threads: list[ThreadLag] = Field(
        description="Those asked for; otherwise those that lag, the one with the oldest undecided step first"
    )
