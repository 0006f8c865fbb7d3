"""The stream as the control lane sees it. Adapter: `stream.lane.LaneStream`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from relmachine.stream.delivery import Step
    from relmachine.stream.follow import FeedMessage
    from relmachine.stream.port import Feeds, Published
    from relmachine.stream.topology import FeedKind


class Following(Protocol):
    """Where feeds are followed: `stream.follow.FeedReader`."""

    def follow(self, kind: FeedKind) -> AbstractAsyncContextManager[AsyncIterator[FeedMessage]]:
        """Messages of all threads of the feed, from now on."""
        ...


class Stored(Protocol):
    """Where feeds are read from their beginning: `stream.follow.FeedReader`."""

    async def end(self, kind: FeedKind) -> int:
        """The position of the feed's last message, as the stream's leader has it; 0 for none."""
        ...

    async def page(self, kind: FeedKind, thread: str, after: int) -> list[FeedMessage]:
        """Messages of the feed at positions above `after`, some at a time; `*` for all threads."""
        ...


class Records(Protocol):
    """The lane's own stream."""

    @property
    def feeds(self) -> Feeds:
        """Writes effects."""
        ...

    @property
    def feed_reader(self) -> Following:
        """Hears effects."""
        ...

    async def publish(self, thread: str, body: bytes) -> Published:
        """Put a record on the lane."""
        ...

    async def has_steps(self, thread: str) -> bool:
        """Whether anything was ever published on the thread."""
        ...

    async def has_step(self, thread: str, sequence: int) -> bool:
        """Whether the message at `sequence` of the steps is of the thread, as the stream's leader has it."""
        ...

    def batches(self) -> AsyncIterator[Sequence[Step]]:
        """Records, oldest first."""
        ...

    async def done(self, records: Sequence[Step]) -> None:
        """Their effects are durable."""
        ...

    async def again(self, records: Sequence[Step]) -> None:
        """Hand back."""
        ...
