"""The embedded store: one SQLite file, one thread that writes, a few connections that read."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from dataclasses import astuple
from pathlib import Path
from typing import TypeVar

from relmachine.errors import Code, RelmError
from relmachine.kernel.lane import Asked, Effect, Foretold
from relmachine.kernel.limits import Limits
from relmachine.kernel.outcome_rows import OutboxRow
from relmachine.kernel.proposal import Proposal
from relmachine.kernel.state import ThreadState
from relmachine.machine.plan import Plan
from relmachine.priority import raise_thread
from relmachine.store.deciding import (
    CONTRIBUTIONS,
    RECEIPTS,
    STATES,
    UNSENT,
    Row,
    asked,
    contributions_of,
    outbox_of,
    receipts_of,
    states_of,
)
from relmachine.store.parts import STEPS_PER_PART_MAX, first_part
from relmachine.store.port import UNSENT_BYTES_MAX, CommitOutcome, Committed, Draft, Reads, Receipt, Stale, Table
from relmachine.store.selecting import Readers, select
from relmachine.store.sqlite_lane import SqliteLane, SqliteLaneStore
from relmachine.store.sqlite_opening import (
    CHECKPOINT_PAGES_OF_NODES,
    connect_writer,
    has_schema,
    read_meta,
    refusal,
    settle_schema,
    unreachable,
)
from relmachine.store.sqlite_still import still
from relmachine.store.staging import prepare
from relmachine.store.tables import RUN_DRAFTS, insert_statement
from relmachine.store.write_order import Order, WriteOrder
from relmachine.store.writing import Writer

_T = TypeVar("_T")


class SqliteReading:
    """A store's file, opened to look at it: also while a node writes to it, also when none runs."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path, self._limits = path, limits
        self._readers = Readers(path, limits)
        try:
            self._store_id = self._readers.run(lambda connection: _identify(connection, path))
        except BaseException:
            self._readers.close()
            raise

    @property
    def store_id(self) -> str:
        """Random id given when the store was created."""
        return self._store_id

    async def close(self) -> None:
        """Finish what runs and let go."""
        await asyncio.to_thread(self._readers.close)

    async def select(self, sql: str, parameters: Sequence[object] = ()) -> Table:
        """See `store.port.Store.select`."""
        return await self._read(lambda connection: select(connection, self._limits, sql, parameters))

    def still(self) -> AbstractAsyncContextManager[Reads]:
        """See `store.port.Stills.still`."""
        return still(self.path, self._limits)

    async def _read(self, read: Callable[[sqlite3.Connection], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._readers.threads, self._readers.run, read)


class SqliteStore(SqliteReading):
    """Adapter of `store.port.Store`. Many may be open on one file, in one process or several."""

    def __init__(self, path: Path, writer: Writer, order: Order) -> None:
        super().__init__(path, writer.limits)
        self._writer = writer
        # While it holds the file, whoever is urgent waits for it, and so for everything that runs before it.
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="store-write", initializer=raise_thread)
        self._order = order
        self._lane = SqliteLane(path, self._order)
        self._controlling = ThreadPoolExecutor(1, thread_name_prefix="store-control")

    @classmethod
    def open(cls, path: Path, plan: Plan, limits: Limits | None = None, order: Order | None = None) -> SqliteStore:
        """The store at `path`, created when there is none. `order` is among the writers of this process, if not given.

        Errors: `store_machine_mismatch` when it belongs to another machine or other laws, `store_schema_future` when
        a newer relmachine wrote it, `unreachable` when the file cannot be used.
        """
        connection = connect_writer(path, CHECKPOINT_PAGES_OF_NODES)
        try:
            settle_schema(connection, path, plan)
            prepare(connection)
            return cls(path, Writer(connection, plan, limits or Limits()), order or WriteOrder())
        except BaseException:
            connection.close()
            raise

    async def close(self) -> None:
        """Finish what runs and let go."""
        await super().close()
        await asyncio.to_thread(self._writing.shutdown, wait=True)
        await asyncio.to_thread(self._controlling.shutdown, wait=True)
        self._lane.close()
        self._writer.connection.close()

    async def calm(self) -> None:
        """See `store.port.Store.calm`."""
        if self._order.expected():
            await asyncio.get_running_loop().run_in_executor(self._controlling, self._order.give_way)

    async def states(self, threads: Sequence[str]) -> Mapping[str, ThreadState]:
        """See `store.port.Store.states`. Each call reads what was committed last, by whichever process."""
        return states_of(await self._rows(STATES, (asked(threads),)))

    async def receipts(self, keys: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Receipt]:
        """See `store.port.Store.receipts`."""
        return receipts_of(await self._rows(RECEIPTS, (asked(keys),)))

    async def contributions(self, thread: str, fields: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """See `store.port.Store.contributions`."""
        return contributions_of(fields, await self._rows(CONTRIBUTIONS, (thread, asked(fields))))

    async def deciding(self, sql: str, parameters: Sequence[object] = ()) -> Sequence[Row]:
        """See `store.port.Store.deciding`."""
        return await self._rows(sql, tuple(parameters))

    async def commit(self, proposals: Sequence[Proposal], sent: Sequence[OutboxRow] = ()) -> Sequence[CommitOutcome]:
        """See `store.port.Store.commit`. Errors: `unreachable` when the file cannot be written, `limit_exceeded`,
        `internal` when what is there contradicts what is to be written: somebody changed the file.
        """
        if not proposals and not sent:
            return []
        stale = await asyncio.get_running_loop().run_in_executor(self._writing, self._commit, proposals, sent)
        threads = [proposal.before.thread for proposal in proposals]
        return [Stale(thread) if thread in stale else Committed(thread) for thread in threads]

    async def keep_draft(self, draft: Draft) -> None:
        """See `store.port.Store.keep_draft`. Errors: `unreachable` when the file cannot be written."""
        await asyncio.get_running_loop().run_in_executor(self._writing, self._keep_draft, draft)

    async def control(self, asked: Sequence[Asked]) -> Sequence[Effect]:
        """See `store.port.Store.control`. Errors: `unreachable`, `internal`."""
        if not asked:
            return []
        return await asyncio.get_running_loop().run_in_executor(self._controlling, self._lane.take, asked)

    async def foretell(self, told: Sequence[Foretold]) -> None:
        """See `store.port.Store.foretell`. Errors: `unreachable`, `internal`."""
        await asyncio.get_running_loop().run_in_executor(self._controlling, self._lane.foretell, told)

    def lane(self) -> SqliteLaneStore:
        """The same store for the control lane's thread, with connections of its own; whoever asks closes it."""
        return SqliteLaneStore(self.path, self.store_id, self._limits, self._order)

    async def unsent(
        self, limit: int, threads: Sequence[str] | None = None, bytes_max: int = UNSENT_BYTES_MAX
    ) -> Sequence[OutboxRow]:
        """See `store.port.Store.unsent`."""
        return outbox_of(await self._rows(UNSENT, (limit, None if threads is None else asked(threads), bytes_max)))

    def _commit(self, proposals: Sequence[Proposal], sent: Sequence[OutboxRow]) -> set[str]:
        threads = [proposal.before.thread for proposal in proposals]
        assert len(set(threads)) == len(threads), "proposals of one commit are of distinct threads"
        try:
            return self._commit_parts(proposals, sent)
        except sqlite3.OperationalError as error:
            raise unreachable(self.path, error) from error
        except sqlite3.IntegrityError as error:
            raise refusal(self.path, error) from error

    def _commit_parts(self, proposals: Sequence[Proposal], sent: Sequence[OutboxRow]) -> set[str]:
        stale: set[str] = set()
        while proposals or sent:
            some = first_part(proposals, STEPS_PER_PART_MAX)
            stale |= self._writer.commit(some, sent, self._order)
            proposals, sent = proposals[len(some) :], ()
            if not self._order.expected():
                self._writer.tidy()
        return stale

    def _keep_draft(self, draft: Draft) -> None:
        try:
            self._order.give_way()
            self._writer.connection.execute(insert_statement(RUN_DRAFTS, 1), astuple(draft))
        except sqlite3.OperationalError as error:
            raise unreachable(self.path, error) from error

    async def _rows(self, sql: str, parameters: Row) -> list[Row]:
        return await self._read(lambda connection: connection.execute(sql, parameters).fetchall())  # pyright: ignore[reportArgumentType]


def open_reading(path: Path, limits: Limits | None = None) -> SqliteReading:
    """The store at `path`, to look at. Errors: `not_found` without a store there, `store_schema_future`."""
    return SqliteReading(path, limits or Limits())


def _identify(connection: sqlite3.Connection, path: Path) -> str:
    if not has_schema(connection):
        raise RelmError(Code.NOT_FOUND, f"{path} holds no store: start a node there first", path=str(path))
    return read_meta(connection)["store_id"]
