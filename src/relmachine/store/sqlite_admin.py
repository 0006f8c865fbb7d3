"""The store's file as an administrator works on it: see `store.admin`."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from relmachine.errors import Code, RelmError
from relmachine.kernel.limits import Limits
from relmachine.store.admin import refused_write
from relmachine.store.port import Table
from relmachine.store.selecting import OPERATIONS_PER_CLOCK_LOOK, connect_reader, select
from relmachine.store.sqlite_opening import connect_writer, unreachable

_CHANGED = "SELECT changes()"


class SqliteAdmin:
    """Adapter of `store.admin.Admin`. A connection that can write is opened for the first write only."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self._path, self._limits = path, limits
        self._reader = connect_reader(path)
        self._writer: sqlite3.Connection | None = None

    @property
    def level(self) -> str:
        """See `store.admin.Admin.level`."""
        return "every read sees the last commit"

    def close(self) -> None:
        """See `store.admin.Admin.close`."""
        self._reader.close()
        if self._writer is not None:
            self._writer.close()

    def read(self, sql: str) -> Table:
        """See `store.admin.Admin.read`."""
        return select(self._reader, self._limits, sql, ())

    def write(self, sql: str) -> int:
        """See `store.admin.Admin.write`. It waits for a node that writes, and a node waits for it."""
        if self._writer is None:
            self._writer = connect_writer(self._path)
        seconds = self._limits.query_seconds_max
        end = time.monotonic() + seconds
        self._writer.set_progress_handler(lambda: time.monotonic() > end, OPERATIONS_PER_CLOCK_LOOK)
        try:
            # Outside of a transaction SQLite commits each statement, or none of it.
            self._writer.execute(sql).fetchall()  # what RETURNING gives; before that it is not at its end
            return self._writer.execute(_CHANGED).fetchone()[0]
        except sqlite3.OperationalError as error:
            if str(error) == "interrupted":
                sentence = f"nothing was changed: the statement takes more than {seconds:g} s"
                raise RelmError(Code.LIMIT_EXCEEDED, sentence, query_seconds_max=seconds) from error
            if "locked" in str(error) or "disk" in str(error):
                raise unreachable(self._path, error) from error
            raise refused_write(str(error)) from error
        except (sqlite3.Error, sqlite3.Warning, UnicodeEncodeError) as error:
            raise refused_write(str(error)) from error
