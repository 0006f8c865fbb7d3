"""The store as the turn sees it. Adapters: `sqlite` (embedded) and `rqlite` (cluster), one contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from relmachine.kernel.lane import Asked, Effect, Foretold
from relmachine.kernel.outcome_rows import OutboxRow
from relmachine.kernel.proposal import Proposal
from relmachine.kernel.state import ThreadState


@dataclass(frozen=True, slots=True)
class Receipt:
    """The recorded outcome of a step key. `outcome` is the JSON text of the receipts row."""

    thread: str
    step_key: str
    step: str
    payload_digest: str
    sequence: int
    outcome: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A decision that a durable run has seen before its answer is on the stream, as JSON text."""

    thread: str
    sequence: int
    attempt: int
    place: int
    decision: str


@dataclass(frozen=True, slots=True)
class Committed:
    """The proposal is durable."""

    thread: str


@dataclass(frozen=True, slots=True)
class Stale:
    """The thread was no longer as the proposal's `before` says: load it again and decide again. Nothing was written."""

    thread: str


@dataclass(frozen=True, slots=True)
class TooLarge:
    """The proposal is larger than one commit may be: decide fewer steps. Nothing was written."""

    thread: str
    commit_bytes: int
    commit_bytes_max: int


CommitOutcome = Committed | Stale | TooLarge


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of a read with their column names."""

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]

    def dicts(self) -> list[dict[str, object]]:
        """The rows as objects."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


UNSENT_BYTES_MAX = 16 * 1024 * 1024
"""Bytes of bodies in one answer of `Store.unsent`, the last row aside."""


LANE_RECORDS_MAX = 64
"""Lane records in one call of `Store.control`."""


class Reads(Protocol):
    """Whatever a store's tables can be asked through: a node's store, or a file opened to look at it."""

    async def select(self, sql: str, parameters: Sequence[object] = ()) -> Table:
        """See `Store.select`."""
        ...


@runtime_checkable
class Stills(Protocol):
    """A store that can be asked about one moment while others write to it."""

    def still(self) -> AbstractAsyncContextManager[Reads]:
        """The store as it is now, for as long as the context lasts."""
        ...


class LaneStore(Reads, Protocol):
    """The store as the control lane sees it."""

    @property
    def store_id(self) -> str:
        """See `Store.store_id`."""
        ...

    def expecting(self) -> AbstractContextManager[None]:
        """In the block, within an event loop, a record is on its way to the stream: the store may prepare for it."""
        ...

    async def control(self, asked: Sequence[Asked]) -> Sequence[Effect]:
        """See `Store.control`."""
        ...


class Store(Protocol):
    """Durable threads. Every method may be called twice, late, or from two nodes."""

    @property
    def store_id(self) -> str:
        """Random id given when the store was created: names what the stream consumer feeds."""
        ...

    async def close(self) -> None:
        """Finish what runs and let go."""
        ...

    async def calm(self) -> None:
        """Return when no control record is on its way to the store, as far as it knows."""
        ...

    async def states(self, threads: Sequence[str]) -> Mapping[str, ThreadState]:
        """State of each thread that exists, at the strongest read level: it decides writes."""
        ...

    async def receipts(self, keys: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Receipt]:
        """Receipts of the (thread, step key) pairs that have one."""
        ...

    async def contributions(self, thread: str, fields: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Canonical JSON of every contribution to `fields` in the thread's history, in subject order."""
        ...

    async def commit(self, proposals: Sequence[Proposal], sent: Sequence[OutboxRow] = ()) -> Sequence[CommitOutcome]:
        """One durable transaction for proposals of distinct threads; a stale one, or one too large, fails alone.

        Outbox rows in `sent` have left and are dropped in the same transaction.
        """
        ...

    async def keep_draft(self, draft: Draft) -> None:
        """Keep it until the attempt is answered. One that is kept already, or comes too late, changes nothing."""
        ...

    async def control(self, asked: Sequence[Asked]) -> Sequence[Effect]:
        """What became of each lane record, in one durable transaction beside the threads' turns; at most
        `LANE_RECORDS_MAX`. A record that is there already, by thread and sequence, has the effect that it had. There is
        none for a record that leaves no trace, nor for one whose thread has yet to come to what was foretold.

        May be called from any thread of the process where the store is a file.
        """
        ...

    async def foretell(self, told: Sequence[Foretold]) -> None:
        """Write down effects of an earlier store, each thread's in their order, before any turn of this one; at most
        `foretelling.FORETOLD_PER_CALL_MAX`. One that is there already, or that its thread has passed, changes nothing.
        """
        ...

    async def unsent(
        self, limit: int, threads: Sequence[str] | None = None, bytes_max: int = UNSENT_BYTES_MAX
    ) -> Sequence[OutboxRow]:
        """Outbox rows that have not left, whoever committed them, oldest first; only those of `threads` when given.

        At most `limit`, and none after the one with which their bodies have `bytes_max` bytes: one in any case.
        """
        ...

    async def deciding(self, sql: str, parameters: Sequence[object] = ()) -> Sequence[tuple[object, ...]]:
        """A read whose answer decides what is written next, at the strongest level. Asked by this package only."""
        ...

    async def select(self, sql: str, parameters: Sequence[object] = ()) -> Table:
        """A read for people, on a connection that cannot write. Errors: `query_refused`, `limit_exceeded`."""
        ...
