"""The control lane of a store in a file: a connection of its own, so that it waits for no queue of commits."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from relmachine.kernel.lane import Asked, Effect
from relmachine.kernel.limits import Limits
from relmachine.store.lane import BEGIN, CONFLICT, EFFECTS, TAKE, effects_of, parameter, places
from relmachine.store.port import Table
from relmachine.store.selecting import connect_reader, select
from relmachine.store.sqlite_opening import connect_writer, refusal, unreachable
from relmachine.store.write_order import Order


class SqliteLane:
    """Writes effects; used by one thread at a time."""

    def __init__(self, path: Path, order: Order) -> None:
        self._path, self._order = path, order
        self._connection = connect_writer(path)

    def take(self, asked: Sequence[Asked]) -> list[Effect]:
        """One durable transaction. Errors: `unreachable`, `internal`."""
        connection = self._connection
        try:
            with self._order.urgent():
                connection.execute("BEGIN IMMEDIATE")
                try:
                    for one in asked:
                        text = parameter(one)
                        connection.execute(BEGIN, (text,))
                        connection.execute(TAKE, (text, CONFLICT))
                    rows = connection.execute(EFFECTS, (places(asked),)).fetchall()
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
        except sqlite3.OperationalError as error:
            raise unreachable(self._path, error) from error
        except sqlite3.IntegrityError as error:
            raise refusal(self._path, error) from error
        return effects_of(asked, rows)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()


class SqliteLaneStore:
    """The store as the control lane's thread asks it. Adapter of `store.port.LaneStore`.

    What it reads takes no time worth a change of threads; writing may have to wait for a transaction, so another thread
    does, and records that come meanwhile go together next.
    """

    def __init__(self, path: Path, store_id: str, limits: Limits, order: Order) -> None:
        self.store_id = store_id
        self._path, self._limits = path, limits
        self._lane, self._reader = SqliteLane(path, order), connect_reader(path)
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="store-control")

    async def control(self, asked: Sequence[Asked]) -> Sequence[Effect]:
        """See `store.port.Store.control`."""
        if not asked:
            return []
        return await asyncio.get_running_loop().run_in_executor(self._writing, self._lane.take, asked)

    async def select(self, sql: str, parameters: Sequence[object] = ()) -> Table:
        """See `store.port.Store.select`."""
        return select(self._reader, self._limits, sql, parameters)

    def close(self) -> None:
        """Finish what runs and let go of the file."""
        self._writing.shutdown(wait=True)
        self._lane.close()
        self._reader.close()
