"""The messages of an export, read as a stream would give them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

import orjson

from relmachine.kernel.candidate import Message
from relmachine.kernel.control import CLOSE, FORK

if TYPE_CHECKING:
    from relmachine.replay.exported import ExportedMessage

_NOTHING = b"{}"
"""Body of what was refused or repeated: it is refused again, and the thread goes on behind it."""


class ExportedStream:
    """The `Reader` port over messages; those above `end` have not been published yet."""

    def __init__(self, messages: Sequence[ExportedMessage]) -> None:
        ordered = sorted(messages, key=lambda one: one.sequence)
        made = [Message(one.sequence, one.thread, one.step, one.body.encode() or _NOTHING) for one in ordered]
        self._threads: dict[str, list[Message]] = {}
        for message in made:
            self._threads.setdefault(message.thread, []).append(message)
        self._sequences = {thread: [one.sequence for one in own] for thread, own in self._threads.items()}
        self._places = _forked_at(made) | {message.sequence: message for message in made}
        self.last = made[-1].sequence if made else 0
        self.end = 0

    def pair_end(self, sequence: int) -> int:
        """Where to stop so as not to part the two records of a merge: `sequence`, or the one after it."""
        message = self._places.get(sequence)
        return sequence + 1 if message is not None and message.step_token == CLOSE else sequence

    def ends(self) -> Mapping[str, int]:
        """The last sequence of each thread that has any up to `end`."""
        return {
            thread: sequences[place - 1]
            for thread, sequences in self._sequences.items()
            if (place := bisect_right(sequences, self.end))
        }

    async def read(self, thread: str, after: int, limit: int) -> Sequence[Message]:
        """See `stream.port.Reader.read`."""
        sequences = self._sequences.get(thread, [])
        first, last = bisect_right(sequences, after), bisect_right(sequences, self.end)
        return self._threads[thread][first : min(last, first + limit)] if sequences else []

    async def read_many(
        self, requests: Sequence[tuple[str, int, int]], bytes_max: int | None = None
    ) -> Sequence[Sequence[Message]]:
        """See `stream.port.Reader.read_many`; nothing here is too large to be read."""
        del bytes_max
        return [await self.read(*request) for request in requests]

    async def read_token(self, thread: str, step_token: str, after: int, limit: int) -> Sequence[Message]:
        """See `stream.port.Reader.read_token`."""
        found = await self.read(thread, after, len(self._threads.get(thread, ())))
        return [one for one in found if one.step_token == step_token][:limit]

    async def first_at_leader(self, requests: Sequence[tuple[str, int]]) -> Sequence[Message | None]:
        """See `stream.port.Reader.first_at_leader`."""
        found = [await self.read(thread, after, 1) for thread, after in requests]
        return [items[0] if items else None for items in found]

    async def message_at(self, sequence: int) -> Message | None:
        """See `stream.port.Reader.message_at`."""
        return self._places.get(sequence) if sequence <= self.end else None


def _forked_at(messages: Sequence[Message]) -> dict[int, Message]:
    """Where forks began that took effect: a message of the source of which an export may not know that it was."""
    found: dict[int, Message] = {}
    for message in messages:
        if message.step_token == FORK and message.body != _NOTHING:
            data = cast("dict[str, object]", orjson.loads(message.body)["data"])
            at = cast(int, data["at_sequence"])
            found[at] = Message(at, cast(str, data["source"]), "_", _NOTHING)
    return found
