"""Telemetry: how turns and runs go on, for whoever watches. The lowest lane: what has no room is dropped and counted.

Whoever does something worth telling is given a `Telemetry` and tells it. What computes something again (a playback, a
verification, a rebuild of a state) is not given one, so nothing is ever told twice.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

import orjson

if TYPE_CHECKING:
    from relmachine.kernel.answer import Pass
    from relmachine.kernel.proposal import Proposal, RunRows

PAUSE_SECONDS = 0.05
"""Between two passes of the sender: nobody who watches sees it, and turns meet one burst of writes instead of many."""

BODY_BYTES_MAX = 8192
"""A message that is longer is dropped."""

Send = Callable[[str, bytes], Awaitable[bool]]
"""Sends a body about a thread; whether it left."""


class TelemetryKind(StrEnum):
    """What is told. A turn tells numbers only."""

    RUN_OPENED = "run_opened"
    PASS_MADE = "pass_made"
    RUN_ENDED = "run_ended"
    CONTROL_EFFECT = "control_effect"
    TURN_COMMITTED = "turn_committed"


class _Told(NamedTuple):
    at: float
    thread: str
    kind: TelemetryKind
    facts: Mapping[str, object]


class Telemetry:
    """Takes what is told at once and sends it when there is nothing better to do, from `start` to `close`.

    `shed` counts what was dropped: the oldest beyond `waiting_max`, all that waits while the node is overloaded, and
    what the stream did not take. `sent` counts the others.
    """

    def __init__(
        self,
        send: Send,
        overloaded: Callable[[], Awaitable[bool]],
        waiting_max: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` gives seconds since 1970. With a `waiting_max` of 0 nothing is ever told."""
        self._send, self._overloaded, self._waiting_max, self._clock = send, overloaded, waiting_max, clock
        self._waiting: deque[_Told] = deque()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.sent = self.shed = 0

    @property
    def waiting(self) -> int:
        """How much has not left yet."""
        return len(self._waiting)

    def tell(self, thread: str, kind: TelemetryKind, **facts: object) -> None:
        """Tell of `thread`, from the node's loop; `facts` become members of the message. Never waits, never raises."""
        self._waiting.append(_Told(self._clock(), thread, kind, facts))
        if len(self._waiting) > self._waiting_max:
            self._waiting.popleft()
            self.shed += 1
        if self._waiting:
            self._wake.set()

    def passed(self, thread: str, sequence: int, attempt: int, row: Pass) -> None:
        """Tell of a pass that a run has just made. What was said in it stays in the store."""
        told = {"number": row.number, "decision": row.decision, "tool": row.tool}
        self.tell(thread, TelemetryKind.PASS_MADE, sequence=sequence, attempt=attempt, **told)

    def committed(self, proposals: Iterable[Proposal]) -> None:
        """Tell of turns that are durable, of what their control records did, and of runs that they opened or ended."""
        for proposal in proposals:
            thread, sequence = proposal.after.thread, proposal.after.cursor
            for row in proposal.controls:
                self.tell(thread, TelemetryKind.CONTROL_EFFECT, sequence=row.seq, record=row.record)
            self._runs(proposal.run)
            events, refused = len(proposal.events), len(proposal.rejections)
            self.tell(thread, TelemetryKind.TURN_COMMITTED, sequence=sequence, committed=events, refused=refused)

    def _runs(self, rows: RunRows) -> None:
        for run in rows.runs:
            self.tell(run.thread, TelemetryKind.RUN_OPENED, sequence=run.seq, step=run.step)
        reasons = {answer.seq: answer.reason for answer in rows.answers}
        for end in rows.ends:
            facts = {"reason": reasons.get(end.seq, ""), "lifecycle": end.lifecycle, "at_sequence": end.at_seq}
            self.tell(end.thread, TelemetryKind.RUN_ENDED, sequence=end.seq, **facts)

    def start(self) -> None:
        """Begin to send."""
        self._task = asyncio.create_task(self._run(), name="telemetry")

    async def close(self) -> None:
        """Send no more: what waits is dropped."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._drop()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if await self._overloaded():
                self._drop()
            else:
                await self._send_waiting()
            await asyncio.sleep(PAUSE_SECONDS)

    async def _send_waiting(self) -> None:
        """What waits now. What is told meanwhile has its turn later, so that this ends."""
        for _ in range(len(self._waiting)):
            if not self._waiting:  # dropped meanwhile, for newer ones
                return
            told = self._waiting.popleft()
            body, left = _body(told), False
            try:
                left = body is not None and await self._send(told.thread, body)
            finally:  # also when it is stopped here
                self.sent += left
                self.shed += not left

    def _drop(self) -> None:
        self.shed += len(self._waiting)
        self._waiting.clear()


def _body(told: _Told) -> bytes | None:
    """The message as JSON; None for what cannot be written, or is too long."""
    at = datetime.fromtimestamp(told.at, UTC).isoformat(timespec="milliseconds")
    message = {"thread": told.thread, "kind": told.kind, "at": at, **told.facts}
    try:
        body = orjson.dumps(message, default=str)
    except orjson.JSONEncodeError:
        return None
    return body if len(body) <= BODY_BYTES_MAX else None
