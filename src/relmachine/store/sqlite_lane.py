"""The control lane of a store in a file: a connection of its own, so that it waits for no queue of commits."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from relmachine.kernel.lane import Asked, Effect
from relmachine.store.lane import BEGIN, CONFLICT, EFFECTS, TAKE, effects_of, parameter, places
from relmachine.store.sqlite_opening import connect_writer, refusal, unreachable
from relmachine.store.write_order import WriteOrder


class SqliteLane:
    """Writes effects; used by one thread at a time."""

    def __init__(self, path: Path, order: WriteOrder) -> None:
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
