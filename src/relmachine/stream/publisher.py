"""Puts steps on the stream: many as atomic batches, one by one when a batch holds repeats.

Order is by construction. A batch is stored whole and in order or not at all. Single messages leave on a line that
never reconnects: when it is lost, so is all it still held, and the next one starts at the first message of each thread
that was not acknowledged. So no later message of a thread is stored before an earlier one.
Source: NATS architecture decision record 50 (atomic batch publishing).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from secrets import token_hex

import structlog

from relmachine.algebra.identity import digest, digest_bytes
from relmachine.errors import Code, RelmError
from relmachine.kernel.limits import Limits
from relmachine.stream.bounds import StreamBounds
from relmachine.stream.connection import unreachable
from relmachine.stream.line import Line
from relmachine.stream.port import Outgoing, Published
from relmachine.stream.topology import Topology
from relmachine.stream.window import Ack, Lost, Parcel, Refused, send
from relmachine.stream.windows import unfinished, windows

_log = structlog.get_logger(__name__)


def message_id(thread: str, body: bytes) -> str:
    """Id of a step for the stream's dedupe window, 32 hexadecimal characters.

    The whole envelope is in it, step key and payload: the same key with another payload must get through and be told
    so (`id_conflict`), not vanish as a repetition.
    """
    return digest("message", thread, digest_bytes(body))[:32]


def guarded(message_id: str, password: str) -> str:
    """The id as the stream gets it: only who knows the login's password can make it.

    Otherwise whoever may publish, and guesses a step's bytes, could have the window swallow it as a repetition.
    """
    return digest("login", password, message_id)[:32] if password else message_id


class NatsPublisher:
    """The `Publisher` port. Make it with `start`; safe for many tasks at once, each call keeps its own order."""

    def __init__(self, line: Line, topology: Topology, limits: Limits) -> None:
        self._line = line
        self._topology = topology
        self._bounds = line.bounds
        self._windows = asyncio.Semaphore(self._bounds.batches_in_flight_max)
        self._singles = asyncio.Semaphore(limits.publishes_in_flight_max)
        self._password = line.password
        self._name = token_hex(6)
        self._batches = count()
        self._repeats = False

    @staticmethod
    async def start(url: str, topology: Topology, limits: Limits, bounds: StreamBounds | None = None) -> NatsPublisher:
        """Open a connection of its own. Errors: `unreachable`."""
        return NatsPublisher(await Line.open(url, bounds), topology, limits)

    async def publish(self, steps: Sequence[Outgoing]) -> Sequence[Published]:
        """Publish in order; returns when the stream has acknowledged every one.

        A lost connection or an unknown outcome is answered by publishing the same ids again.
        Errors: `payload_too_large` before anything is sent; `unreachable` when the stream does not come back in
        time: what was acknowledged until then stays, and calling again with the same steps is safe.
        """
        for step in steps:
            self._check_size(step)
        results: list[Published] = []
        for window in windows(steps, self._bounds):
            async with self._windows if len(window) > 1 else self._singles:
                results.extend(await self._window(window))
        return results

    async def publish_together(self, steps: Sequence[Outgoing]) -> Sequence[Published]:
        """See `stream.port.Publisher.publish_together`. At most one window, which a few records are.

        Errors: `payload_too_large`, `unreachable`.
        """
        for step in steps:
            self._check_size(step)
        bare = [replace(step, message_id="") for step in steps]
        async with self._windows:
            for attempt in range(self._bounds.publish_attempts_max):
                stored = await self._as_batch(bare)
                if stored is not None:
                    return stored
                await asyncio.sleep(self._bounds.reconnect_wait_seconds * attempt)
        sentence = "the stream takes no messages together now, perhaps because too many batches are open: try again"
        raise RelmError(Code.UNREACHABLE, sentence, url=self._line.url, attempts=self._bounds.publish_attempts_max)

    async def close(self) -> None:
        """Let go of the connection. What is under way fails as `unreachable`."""
        await self._line.close()

    async def _window(self, window: Sequence[Outgoing]) -> Sequence[Published]:
        if len(window) > 1 and not self._repeats:
            stored = await self._as_batch(window)
            if stored is not None:
                return stored
        published = await self._one_by_one(window)
        if len(window) > 1:
            # A window of repeats makes the next batch fail as well; the first new message ends that.
            self._repeats = all(item.duplicate for item in published)
        return published

    async def _as_batch(self, window: Sequence[Outgoing]) -> list[Published] | None:
        """The window as one atomic batch, or None when it was not taken, or nobody knows whether it was."""
        connection = await self._line.usable()
        batch = f"{self._name}-{next(self._batches)}"
        parcels = [self._parcel(step, batch, number) for number, step in enumerate(window, 1)]
        parcels[-1].headers["Nats-Batch-Commit"] = "1"
        parcels[-1].silent = False
        match (await send(connection, parcels))[-1]:
            case Ack(sequence):
                first = sequence - len(window) + 1
                return [Published(first + offset, False) for offset in range(len(window))]
            case Refused(code, description):
                # Most often a repeat inside it. Whatever it was, the single messages tell which one and why.
                _log.debug("batch_not_taken", code=code, description=description)
            case Lost():
                await self._line.replace(connection)
        return None

    async def _one_by_one(self, window: Sequence[Outgoing]) -> list[Published]:
        results: list[Published | None] = [None] * len(window)
        for attempt in range(self._bounds.publish_attempts_max):
            missing = unfinished(window, results)
            connection = await self._line.usable()
            answers = await send(connection, [self._parcel(window[index]) for index in missing])
            lost = False
            for index, answer in zip(missing, answers, strict=True):
                match answer:
                    case Ack(sequence, duplicate):
                        results[index] = results[index] or Published(sequence, duplicate)
                    case Refused(code, description):
                        raise _refused(window[index], code, description)
                    case Lost():
                        lost = True
            if not lost:
                break
            _log.info("publish_repeated", messages=len(missing), attempt=attempt + 1)
            await self._line.replace(connection)
            await asyncio.sleep(self._bounds.reconnect_wait_seconds * attempt)
        stored = [result for result in results if result is not None]
        if len(stored) != len(window):
            raise unreachable(self._line.url, TimeoutError("steps stayed without acknowledgement"))
        return stored

    def _parcel(self, step: Outgoing, batch: str | None = None, number: int = 0) -> Parcel:
        headers = {"Nats-Msg-Id": guarded(step.message_id, self._password)} if step.message_id else {}
        if batch is not None:
            headers |= {"Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(number)}
        subject = self._topology.step_subject(step.thread, step.step_token)
        return Parcel(subject, step.body, headers, silent=batch is not None)

    def _check_size(self, step: Outgoing) -> None:
        longest = self._line.body_bytes_max
        if len(step.body) > longest:
            raise RelmError(
                Code.PAYLOAD_TOO_LARGE,
                f"send at most {longest} bytes in one step",
                message_bytes_max=longest,
                bytes=len(step.body),
                thread=step.thread,
            )


def _refused(step: Outgoing, code: int, description: str) -> RelmError:
    return RelmError(
        Code.UNREACHABLE,
        f"the stream does not take the step: {description}; see the server's log",
        err_code=code,
        thread=step.thread,
        step=step.step_token,
    )
