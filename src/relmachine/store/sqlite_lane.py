"""The control lane of a store in a file: a connection of its own, so that it waits for no queue of commits."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from relmachine.errors import RelmError
from relmachine.kernel.lane import Asked, Effect, Foretold
from relmachine.kernel.limits import Limits
from relmachine.realtime import at_once
from relmachine.store import foretelling
from relmachine.store.expecting import Expecting
from relmachine.store.lane import EFFECTS
from relmachine.store.lane_taking import BEGIN, CONFLICT, TAKE, effects_of, parameter, places
from relmachine.store.port import Table
from relmachine.store.selecting import connect_reader, select
from relmachine.store.sqlite_opening import BUSY_SECONDS_MAX, connect_writer, refusal, unreachable
from relmachine.store.write_order import Order

LOOK_SECONDS = 0.0002
"""Between two looks whether the file is free, for as long as the transaction of one part takes."""


class SqliteLane:
    """Writes effects. Errors of each: `unreachable` when the file cannot be written, `internal`."""

    def __init__(self, path: Path, order: Order) -> None:
        self._path, self._order = path, order
        self._connection = connect_writer(path, checkpoint_pages=0)
        self._connection.execute("PRAGMA busy_timeout = 0")  # it waits by itself
        self._one = threading.Lock()  # of the connection's transactions

    def take(self, asked: Sequence[Asked]) -> list[Effect]:
        """One durable transaction."""
        with self._one, self._order.urgent(), self._transaction(BUSY_SECONDS_MAX) as connection:
            return _taken(connection, asked)

    def try_take(self, asked: Sequence[Asked]) -> list[Effect] | None:
        """The same without waiting: None where the file is not free. Whoever then waits is told of other errors."""
        if not self._one.acquire(blocking=False):
            return None
        try:
            with self._transaction(0.0) as connection:
                return _taken(connection, asked)
        except RelmError as error:
            if isinstance(error.__cause__, sqlite3.OperationalError):
                return None
            raise
        finally:
            self._one.release()

    def foretell(self, told: Sequence[Foretold]) -> None:
        """One durable transaction."""
        with self._one, self._order.urgent(), self._transaction(BUSY_SECONDS_MAX) as connection:
            for statement in foretelling.FORETELL:
                connection.execute(statement, (foretelling.parameter(told),))

    @contextmanager
    def _transaction(self, seconds_max: float) -> Generator[sqlite3.Connection]:
        connection = self._connection
        try:
            with at_once():
                self._begin(seconds_max)
                try:
                    yield connection
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
        except sqlite3.OperationalError as error:
            raise unreachable(self._path, error) from error
        except sqlite3.IntegrityError as error:
            raise refusal(self._path, error) from error

    def _begin(self, seconds_max: float) -> None:
        """Begin as soon as the transaction that runs lets go, which SQLite tells nobody: its own waiting grows to a
        tenth of a second between two looks.
        """
        deadline = time.monotonic() + seconds_max
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                    raise
            time.sleep(LOOK_SECONDS)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()


def _taken(connection: sqlite3.Connection, asked: Sequence[Asked]) -> list[Effect]:
    for one in asked:
        text = parameter(one)
        connection.execute(BEGIN, (text,))
        connection.execute(TAKE, (text, CONFLICT))
    return effects_of(asked, connection.execute(EFFECTS, (places(asked),)).fetchall())


class SqliteLaneStore:
    """The store as the control lane's thread asks it. Adapter of `store.port.LaneStore`.

    What it reads takes no time worth a change of threads, nor what it writes where data waits and the file is free: a
    busy machine takes longer to wake a thread than to write a record. Otherwise another thread writes, in the order of
    writers; records that come meanwhile go together next.
    """

    def __init__(self, path: Path, store_id: str, limits: Limits, order: Order) -> None:
        self.store_id = store_id
        self._limits = limits
        self._lane, self._reader = SqliteLane(path, order), connect_reader(path)
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="store-control")
        self._expecting = Expecting(order, self._writing)

    def expecting(self) -> AbstractContextManager[None]:
        """See `store.port.LaneStore.expecting`. No data begins to be written: what is being written then ends while the
        stream takes the record, and not after.
        """
        return self._expecting.record()

    async def control(self, asked: Sequence[Asked]) -> Sequence[Effect]:
        """See `store.port.Store.control`."""
        if not asked:
            return []
        effects = self._lane.try_take(asked) if self._expecting.holds() else None
        if effects is None:
            effects = await asyncio.get_running_loop().run_in_executor(self._writing, self._lane.take, asked)
        return effects

    async def select(self, sql: str, parameters: Sequence[object] = ()) -> Table:
        """See `store.port.Store.select`."""
        return select(self._reader, self._limits, sql, parameters)

    def close(self) -> None:
        """Finish what runs and let go of the file."""
        self._expecting.close()
        self._writing.shutdown(wait=True)
        self._lane.close()
        self._reader.close()
