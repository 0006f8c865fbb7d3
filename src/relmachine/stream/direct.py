"""Direct reads of a stream: many subjects at once, each complete and in order, or not at all.

Batched direct get: one request, answers up to a batch, then status 204 with how many more there are. Every answer
names the sequence before it, so one lost on the way (a reconnect in the middle) shows as a gap and is asked for again.
Source: NATS architecture decision record 31.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import orjson
from nats.errors import Error

from relmachine.errors import Code, RelmError
from relmachine.stream.connection import Connection, unreachable

if TYPE_CHECKING:
    from nats.aio.msg import Msg

_END, _NONE = "204", "404"
_SEQUENCE = "Nats-Sequence"
"""The server says it of every stored message, after the headers that the message came with, and of nothing else."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored message. `headers` includes those the server adds."""

    sequence: int
    subject: str
    body: bytes
    headers: dict[str, str]


@dataclass(slots=True, eq=False)
class _Read:
    """One request under way."""

    subjects: str
    after: int
    limit: int
    bytes_max: int
    found: list[Stored] = field(default_factory=list[Stored])
    error: str | None = None
    complete: bool = False
    _previous: int = 0
    _bytes: int = 0
    _last: bool = False

    def request(self, bytes_max: int) -> bytes:
        """The next request's body; what came so far counts."""
        self._previous = 0
        self.error = None
        left = self.bytes_max - self._bytes
        self._last = left <= bytes_max
        last = self.found[-1].sequence if self.found else self.after
        return orjson.dumps(
            {
                "batch": self.limit - len(self.found),
                "next_by_subj": self.subjects,
                "seq": last + 1,
                "max_bytes": left if self._last else bytes_max,
            }
        )

    def take(self, message: Msg) -> bool:
        """Sort one answer away; whether it was the last one."""
        headers = message.headers or {}
        if self.complete:
            return True
        if _SEQUENCE in headers:
            return self._append(message, headers)
        status = headers.get("Status")
        if status == _END:
            whole = headers.get("Nats-Num-Pending", "0") == "0" or len(self.found) >= self.limit
            self.complete = whole or (self._last and bool(self.found))
            if headers.get("Nats-Last-Sequence", "0") != str(self._previous):
                self.error, self.complete = "an answer was lost", False
        elif status == _NONE:
            self.complete = True
        else:
            self.error = f"status {status} {headers.get('Description', '')}"
        return True

    def _append(self, message: Msg, headers: dict[str, str]) -> bool:
        if headers["Nats-Last-Sequence"] != str(self._previous):
            self.error = "an answer was lost"
        if self.error is None:
            if self.found and self._bytes + len(message.data) > self.bytes_max:
                self.complete = True
                return True
            self._previous = int(headers[_SEQUENCE])
            self._bytes += len(message.data)
            self.found.append(Stored(self._previous, headers["Nats-Subject"], message.data, headers))
            self.complete = self._bytes >= self.bytes_max
        return self.complete


class DirectReader:
    """Reads any stream of one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._turn = asyncio.Semaphore(connection.bounds.reads_in_flight_max)

    async def read_many(
        self, stream: str, reads: Sequence[tuple[str, int, int]], bytes_max: int | None = None
    ) -> list[list[Stored]]:
        """For each (subject filter, after, limit) the messages above `after` in order, at most `limit`.

        Of each at most `bytes_max` bytes of bodies, but never less than its first message.

        Errors: `unreachable` when the server does not answer in a few attempts.
        """
        most = sys.maxsize if bytes_max is None else bytes_max
        states = [_Read(*read, most) for read in reads]
        await asyncio.gather(*(self._all_of(stream, state) for state in states))
        return [state.found for state in states]

    async def last_many(self, stream: str, subjects: Sequence[str]) -> list[Stored | None]:
        """The last message of each subject. A lagging replica may answer with an older one, or none."""
        return list(await asyncio.gather(*(self._last(stream, subject) for subject in subjects)))

    async def at(self, stream: str, sequence: int) -> Stored | None:
        """The message at `sequence`; None when the replica that answers has none there."""
        return await self._one(stream, {"seq": sequence})

    async def _all_of(self, stream: str, state: _Read) -> None:
        attempts = 0
        while not state.complete and len(state.found) < state.limit:
            before = len(state.found)
            async with self._turn:
                await self._ask(stream, state)
            attempts = 0 if len(state.found) > before else attempts + 1
            if attempts >= self._connection.bounds.read_attempts_max:
                raise unreachable(self._connection.url, TimeoutError(state.error))

    async def _ask(self, stream: str, state: _Read) -> None:
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()

        def arrived(message: Msg) -> None:
            if state.take(message) and not ended.done():
                ended.set_result(None)

        bounds = self._connection.bounds
        reply = self._connection.replies.open(arrived)
        forget = self._connection.on_reconnect(lambda: None if ended.done() else ended.set_result(None))
        try:
            body = state.request(bounds.read_bytes_max)
            async with asyncio.timeout(bounds.answer_seconds_max):
                await self._connection.client.publish(f"$JS.API.DIRECT.GET.{stream}", body, reply=reply)
                await ended
        except (Error, OSError, TimeoutError) as error:
            state.error = str(error) or "no answer in time"
        finally:
            forget()
            self._connection.replies.close(reply)

    async def _last(self, stream: str, subject: str) -> Stored | None:
        return await self._one(stream, {"last_by_subj": subject})

    async def _one(self, stream: str, wanted: dict[str, object]) -> Stored | None:
        bounds = self._connection.bounds
        problem: BaseException = TimeoutError()
        for _ in range(bounds.read_attempts_max):
            try:
                async with self._turn:
                    message = await self._connection.client.request(
                        f"$JS.API.DIRECT.GET.{stream}",
                        orjson.dumps(wanted),
                        timeout=bounds.answer_seconds_max,
                    )
            except (Error, OSError, TimeoutError) as error:
                problem = error
                continue
            headers = message.headers or {}
            if _SEQUENCE in headers:
                return Stored(int(headers[_SEQUENCE]), headers["Nats-Subject"], message.data, headers)
            if headers.get("Status") == _NONE:
                return None
            problem = RelmError(Code.UNREACHABLE, f"status {headers.get('Status')}")
        raise unreachable(self._connection.url, problem)
