"""Checkpoints in an SQLite file: one connection on a thread of its own. Several processes may have it open."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from relmachine.checkpoints.database import Row, Statement, creation
from relmachine.store.sqlite_opening import connect_writer, unreachable

_T = TypeVar("_T")


class SqliteCheckpoints:
    """Adapter of `database.Database`. Made by `open`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoints")
        self._connection: sqlite3.Connection

    @classmethod
    async def open(cls, path: Path) -> SqliteCheckpoints:
        """The checkpoints in the file at `path`, created when there is none. Errors: `unreachable`."""
        made = cls(path)
        try:
            made._connection = await made._run(lambda: connect_writer(path))
            await made.write(creation())
        except BaseException:
            made._thread.shutdown(wait=False)
            raise
        return made

    async def rows(self, statement: Statement) -> Sequence[Row]:
        """See `Database.rows`."""
        sql, *parameters = statement
        return await self._run(lambda: self._connection.execute(str(sql), parameters).fetchall())  # type: ignore[arg-type]

    async def write(self, statements: Sequence[Statement]) -> None:
        """See `Database.write`. The file is synced before this returns."""
        await self._run(lambda: self._transaction(statements))

    async def close(self) -> None:
        """See `Database.close`."""
        await self._run(self._connection.close)
        self._thread.shutdown(wait=False)

    def _transaction(self, statements: Sequence[Statement]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for sql, *parameters in statements:
                self._connection.execute(str(sql), parameters)  # type: ignore[arg-type]
            self._connection.execute("COMMIT")
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise

    async def _run(self, work: Callable[[], _T]) -> _T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except sqlite3.OperationalError as error:
            raise unreachable(self._path, error) from error
