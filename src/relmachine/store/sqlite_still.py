"""Many questions about one moment: a connection that keeps a read transaction open while others commit."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

from relmachine.kernel.limits import Limits
from relmachine.store.port import Reads, Table
from relmachine.store.selecting import authorize, connect_reader, select

_PIN = "SELECT count(*) FROM meta"
"""A transaction sees the moment of its first read."""


class _Still:
    """`Reads` through one connection, one question after another."""

    def __init__(self, connection: sqlite3.Connection, thread: ThreadPoolExecutor, limits: Limits) -> None:
        self._connection, self._thread, self._limits = connection, thread, limits

    async def select(self, sql: str, parameters: Sequence[object] = ()) -> Table:
        """See `store.port.Store.select`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, select, self._connection, self._limits, sql, parameters)


@asynccontextmanager
async def still(path: Path, limits: Limits) -> AsyncGenerator[Reads]:
    """The store in the file as it is now, whatever is committed in the meantime. Errors: `unreachable`."""
    with ThreadPoolExecutor(1, thread_name_prefix="store-still") as thread:
        connection = await asyncio.get_running_loop().run_in_executor(thread, _pinned, path)
        try:
            yield _Still(connection, thread, limits)
        finally:
            connection.close()


def _pinned(path: Path) -> sqlite3.Connection:
    connection = connect_reader(path)
    connection.set_authorizer(None)
    connection.execute("BEGIN")
    connection.execute(_PIN).fetchone()
    connection.set_authorizer(authorize)
    return connection
