"""Reading connections: a pool that can only look, and the bounds on what may be asked of it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from relmachine.errors import Code, RelmError
from relmachine.kernel.limits import Limits
from relmachine.store.port import Table
from relmachine.store.sqlite_opening import BUSY_SECONDS_MAX, check_sqlite, unreachable

READERS = 2
"""Connections that read at the same time."""

VALUE_BYTES_MAX = 64 * 1024 * 1024
"""Largest value that a query may build."""

OPERATIONS_PER_CLOCK_LOOK = 20_000
"""SQLite's operations between two looks at the clock."""

_CACHE_KIB = 16_384
# The JSON tables are built when a connection first names them, which its authorizer would take for creating a table.
_PRIME = "SELECT (SELECT count(*) FROM sqlite_master) FROM json_each('[1]'), json_tree('[]')"
_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}

_T = TypeVar("_T")


class Readers:
    """A few connections that cannot write, each used by one thread at a time."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path, self.limits = path, limits
        self._free: SimpleQueue[sqlite3.Connection] = SimpleQueue()
        self._connections = [connect_reader(path) for _ in range(READERS)]
        for connection in self._connections:
            self._free.put(connection)
        self.threads = ThreadPoolExecutor(READERS, thread_name_prefix="store-read")

    def run(self, read: Callable[[sqlite3.Connection], _T]) -> _T:
        """`read` on a free connection. Called on the pool's threads, which are as many as the connections."""
        connection = self._free.get()
        try:
            return read(connection)
        except sqlite3.Error as error:
            raise unreachable(self.path, error) from error
        finally:
            self._free.put(connection)

    def close(self) -> None:
        """Let running reads finish and close the connections."""
        self.threads.shutdown(wait=True)
        for connection in self._connections:
            connection.close()


def connect_reader(path: Path) -> sqlite3.Connection:
    """A connection that can only read: opened so, told so, and watched by an authorizer.

    Errors: `not_found` when there is no file, `unreachable`.
    """
    check_sqlite()
    if not path.is_file():
        raise RelmError(Code.NOT_FOUND, f"there is no store at {path}: start a node there first", path=str(path))
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro",
            uri=True,
            timeout=BUSY_SECONDS_MAX,
            isolation_level=None,
            check_same_thread=False,
        )
        connection.execute("PRAGMA query_only = ON")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute(_PRIME).fetchone()
    except sqlite3.Error as error:
        raise unreachable(path, error) from error
    connection.text_factory = _text
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX)
    connection.set_authorizer(authorize)
    return connection


def select(connection: sqlite3.Connection, limits: Limits, sql: str, parameters: Sequence[object]) -> Table:
    """Run one query.

    Errors: `query_refused` for anything but one query that reads, and for one that does not run; `limit_exceeded`
    beyond `Limits.query_rows_max` rows or `Limits.query_seconds_max` seconds.
    """
    end = time.monotonic() + limits.query_seconds_max
    connection.set_progress_handler(lambda: time.monotonic() > end, OPERATIONS_PER_CLOCK_LOOK)
    try:
        cursor = connection.execute(sql, tuple(parameters))  # pyright: ignore[reportArgumentType]
        if cursor.description is None:
            raise RelmError(Code.QUERY_REFUSED, "ask with one SELECT", sql=sql[:200])
        rows = cursor.fetchmany(limits.query_rows_max + 1)
        columns = tuple(str(column[0]) for column in cursor.description)
        cursor.close()
    except (sqlite3.Error, sqlite3.Warning, UnicodeEncodeError) as error:
        raise _refusal(error, sql, limits) from error
    finally:
        connection.set_progress_handler(None, 0)
    if len(rows) > limits.query_rows_max:
        sentence = f"the answer has more than {limits.query_rows_max} rows: add a LIMIT or a WHERE"
        raise RelmError(Code.LIMIT_EXCEEDED, sentence, query_rows_max=limits.query_rows_max)
    return Table(columns, tuple(rows))


def _refusal(error: Exception, sql: str, limits: Limits) -> RelmError:
    detail = str(error)
    if detail == "interrupted":
        sentence = f"the query takes more than {limits.query_seconds_max:g} s: ask for less"
        return RelmError(Code.LIMIT_EXCEEDED, sentence, query_seconds_max=limits.query_seconds_max)
    return RelmError(
        Code.QUERY_REFUSED,
        "send one SELECT that SQLite understands; the store can only be read here",
        detail=detail,
        sql=sql[:200],
    )


def authorize(action: int, first: str | None, second: str | None, _database: str | None, _trigger: str | None) -> int:
    """What SQLite asks about every action of a statement: reading is allowed, and nothing else."""
    loads = action == sqlite3.SQLITE_FUNCTION and second == "load_extension"
    return sqlite3.SQLITE_OK if action in _ALLOWED and not loads else sqlite3.SQLITE_DENY


def _text(raw: bytes) -> str:
    # A damaged text must still be readable, so that `verify` can name the event it belongs to.
    return raw.decode(errors="surrogateescape")
