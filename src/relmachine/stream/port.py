"""The stream as the node sees it: ordered per thread, replicated, the truth of order."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from relmachine.kernel.candidate import Message
from relmachine.kernel.outcome_rows import OutboxRow


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A step to publish on `thread`; `step_token` is the step's name, or `_` for an activity without a step.

    `body` is the envelope's wire form.
    """

    thread: str
    step_token: str
    body: bytes
    message_id: str


@dataclass(frozen=True, slots=True)
class Published:
    """Where the stream put it; `duplicate` when it was there already (inside the stream's window)."""

    sequence: int
    duplicate: bool


@dataclass(frozen=True, slots=True)
class Hint:
    """Somebody published `sequence` on `thread`. Only a hint: the turn reads the thread's subject itself."""

    thread: str
    sequence: int
    token: object


class Publisher(Protocol):
    """Puts steps on the stream."""

    async def publish(self, steps: Sequence[Outgoing]) -> Sequence[Published]:
        """Publish in order, in bounded windows; returns when the stream has acknowledged every one."""
        ...

    async def publish_together(self, steps: Sequence[Outgoing]) -> Sequence[Published]:
        """Publish next to each other or not at all, as one atomic batch; nothing is spared for being a repeat.

        An attempt whose outcome nobody knows is made again: the same may then be on the stream twice.
        """
        ...


class Reader(Protocol):
    """Reads a thread's subject."""

    async def read(self, thread: str, after: int, limit: int) -> Sequence[Message]:
        """Messages of the thread with a sequence above `after`, in order, at most `limit`."""
        ...

    async def read_many(
        self, requests: Sequence[tuple[str, int, int]], bytes_max: int | None = None
    ) -> Sequence[Sequence[Message]]:
        """`read` for each (thread, after, limit), all under way together; of each at most `bytes_max` bytes of bodies,
        but never less than its first message."""
        ...

    async def read_token(self, thread: str, step_token: str, after: int, limit: int) -> Sequence[Message]:
        """As `read`, only messages with this step token, as far as the replica that answers knows."""
        ...

    async def first_at_leader(self, requests: Sequence[tuple[str, int]]) -> Sequence[Message | None]:
        """For each (thread, after) the thread's first message above `after`, as the stream's leader has it, whatever
        replicas lag; None when there is none, or when there is no leader to ask. For those of whom `read_many` found
        nothing though something is known to be there.
        """
        ...

    async def message_at(self, sequence: int) -> Message | None:
        """The message at this stream sequence, whatever its thread; None when there is none yet, as far as the replica
        that answers knows. One that no thread can own comes back with an empty thread.
        """
        ...


class Hints(Protocol):
    """The durable consumer of step hints, one per store."""

    def batches(self) -> AsyncIterator[Sequence[Hint]]:
        """Batches of hints, oldest first, at most `Limits.hints_in_flight_max` unacknowledged."""
        ...

    async def done(self, hints: Sequence[Hint]) -> None:
        """Acknowledge: everything the hints speak of is committed."""
        ...

    async def again(self, hints: Sequence[Hint], seconds: float = 0.0) -> None:
        """Hand back, to be delivered again after `seconds`, and after a short delay in any case.

        They stay among those that are out, so they count towards `Limits.hints_in_flight_max`.
        """
        ...


class Feeds(Protocol):
    """Writes outbox rows to the feeds exactly once and in order per subject."""

    async def emit(self, rows: Sequence[OutboxRow]) -> Sequence[OutboxRow]:
        """Publish `rows`; returns those known to be on the stream. Safe to call again with the same rows."""
        ...
