"""The node as those see it who observe it or publish through it: all that HTTP, MCP and the status page may ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from relmachine.kernel.lane import Effect
from relmachine.kernel.verdicts import Refused
from relmachine.machine.plan import Plan
from relmachine.observe.lag import LISTED, Lag
from relmachine.store.port import Store


@dataclass(frozen=True, slots=True)
class Accepted:
    """The stream has the step at `sequence`. Nothing is decided yet: the thread's turn decides.

    `duplicate` when the stream had it already, at that sequence (inside the stream's window). `key` is its step key.
    """

    thread: str
    sequence: int
    duplicate: bool
    key: str = ""


class Controls(Protocol):
    """Where threads are told something: a running node, or its control lane by itself."""

    async def control(self, thread: str, body: bytes, seconds: float) -> Effect | Refused | int:
        """Tell `thread` something on the control lane and wait up to `seconds` for its effect; else its sequence there.

        What gates 1 and 2 refuse here leaves no trace. A record under an earlier one's key has that one's effect, with
        the outcome `repeated`. Errors: `thread_name_invalid`; `not_found` for a thread on which nothing was ever
        published; `unreachable`.
        """
        ...


class NodeView(Controls, Protocol):
    """A running node."""

    @property
    def plan(self) -> Plan:
        """The machine it runs."""
        ...

    @property
    def store(self) -> Store:
        """Where its threads are."""
        ...

    def status(self) -> Mapping[str, object]:
        """Phase, machine, version, digests, lag, counters, addresses, as JSON values. Costs no I/O."""
        ...

    async def lag(self, threads: Sequence[str] = (), limit: int = LISTED) -> Lag:
        """The lanes, and the lag of `threads`, or of at most `limit` threads that lag most when none is named.

        Errors: `unreachable` when the stream is; `thread_name_invalid`, `limit_exceeded`.
        """
        ...

    def entering(self) -> AbstractAsyncContextManager[None]:
        """The door for whoever publishes: hold it while a body is read and submitted.

        Errors on entering: `overloaded`, when more waits to be decided than `Limits` lets wait.
        """
        ...

    async def submit(self, thread: str, bodies: Sequence[bytes]) -> Sequence[Accepted | Refused]:
        """One answer for each body: the early word of gates 1 and 2, then the stream's.

        An early refusal leaves no trace; an accepted step is decided by the thread's turn, which may still refuse it.
        Errors: `thread_name_invalid`; `unreachable` when the stream is.
        """
        ...

    async def merge(self, target: str, source: str, close: bytes, merge: bytes) -> Accepted | Refused:
        """Publish the two records of a merge together; the sequence is that of the one on `target`.

        Early refusals and errors as for `submit`.
        """
        ...

    async def outcome(self, thread: str, sequence: int, seconds: float) -> Mapping[str, object] | None:
        """The recorded outcome of stream sequence `sequence`, waited for up to `seconds`; None when it takes longer.

        Members as in `receipts.outcome`: `outcome` is `committed` (event, history), `applied` (of a control
        record: record, history), `refused` (gate, code, sentence) or `repeated`, whose `sequence` is where the step was
        first seen and whose `key` is its step key.
        Errors: `overloaded` when too many wait already.
        """
        ...
