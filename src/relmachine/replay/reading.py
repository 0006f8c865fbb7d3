"""The messages of an export, read as a stream would give them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

import orjson

from relmachine.kernel.control import FORK
from relmachine.kernel.envelope import Message

if TYPE_CHECKING:
    from relmachine.replay.exported import ExportedMessage

_NOTHING = b"{}"
"""Body of what was refused or repeated: it is refused again, and the thread goes on behind it."""


class ExportedStream:
    """The `Reader` port over messages; those above `end` have not been published yet."""

    def __init__(self, messages: Sequence[ExportedMessage]) -> None:
        self._messages = [
            Message(item.sequence, item.thread, item.step, item.body.encode() or _NOTHING) for item in messages
        ]
        self._threads: dict[str, list[Message]] = {}
        for message in self._messages:
            self._threads.setdefault(message.thread, []).append(message)
        self._places = {message.sequence: message for message in self._messages} | self._forked_at()
        self.end = 0

    @property
    def threads(self) -> Mapping[str, Sequence[Message]]:
        """All messages, by thread."""
        return self._threads

    async def read(self, thread: str, after: int, limit: int) -> Sequence[Message]:
        """See `stream.port.Reader.read`."""
        found = (item for item in self._threads.get(thread, ()) if after < item.sequence <= self.end)
        return [item for item, _ in zip(found, range(limit), strict=False)]

    async def read_many(
        self, requests: Sequence[tuple[str, int, int]], bytes_max: int | None = None
    ) -> Sequence[Sequence[Message]]:
        """See `stream.port.Reader.read_many`; nothing here is too large to be read."""
        del bytes_max
        return [await self.read(*request) for request in requests]

    async def read_token(self, thread: str, step_token: str, after: int, limit: int) -> Sequence[Message]:
        """See `stream.port.Reader.read_token`."""
        found = await self.read(thread, after, len(self._messages))
        return [item for item in found if item.step_token == step_token][:limit]

    async def first_at_leader(self, requests: Sequence[tuple[str, int]]) -> Sequence[Message | None]:
        """See `stream.port.Reader.first_at_leader`."""
        found = [await self.read(thread, after, 1) for thread, after in requests]
        return [items[0] if items else None for items in found]

    async def message_at(self, sequence: int) -> Message | None:
        """See `stream.port.Reader.message_at`."""
        return self._places.get(sequence) if sequence <= self.end else None

    def _forked_at(self) -> dict[int, Message]:
        """Where forks began that took effect: a message of the source, which an export of a later part may lack."""
        found: dict[int, Message] = {}
        for message in self._messages:
            if message.step_token == FORK and message.body != _NOTHING:
                data = cast("dict[str, object]", orjson.loads(message.body)["data"])
                at = cast(int, data["at_sequence"])
                found[at] = Message(at, cast(str, data["source"]), "_", _NOTHING)
        return found
