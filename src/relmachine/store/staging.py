"""A commit in one call of SQLite: its rows wait in tables of the connection, and one statement moves them all.

Rows are staged before the file is waited for. What holds the file then runs within SQLite from its beginning to the
disk's answer: no other thread's hold on the interpreter makes it longer.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import chain

from relmachine.store import tables
from relmachine.store.tables import Target

_ROWS_PER_STATEMENT_MAX = 512
_ROWS_PER_TARGET_MAX = 1 << 32

ORDER = (
    tables.SENT,
    tables.THREADS,
    tables.COMMITS,
    *tables.OF_FIBERS,
    *tables.OF_TURNS,
    tables.SECTION_SNAPSHOTS,
    tables.MOVED,
)
"""What is done first. What is referred to comes before what refers to it, and threads move when all is there."""

_PLACE = {target: place for place, target in enumerate(ORDER)}
_WIDTHS = (4, 6, max(len(target.columns) for target in ORDER))
"""Columns of the tables in which rows wait. A cell costs the same with nothing in it, and most rows have few."""


def _width(target: Target) -> int:
    return next(width for width in _WIDTHS if len(target.columns) <= width)


def _cells(count: int) -> tuple[str, ...]:
    return tuple(f"c{number}" for number in range(count))


def _moving(target: Target) -> str:
    """The statement that does with the staged rows of `target` what is to be done."""
    place, columns = _PLACE[target], target.columns
    names = _cells(len(columns))
    cells = ", ".join(names)
    first = place * _ROWS_PER_TARGET_MAX
    staged = f"FROM staged_{_width(target)} WHERE place BETWEEN {first} AND {first + _ROWS_PER_TARGET_MAX - 1}"
    if target is tables.SENT:
        return f"DELETE FROM {target.name} WHERE ({', '.join(columns)}) IN (SELECT {cells} {staged})"
    if target is tables.MOVED:
        key, *values = zip(columns, names, strict=True)
        setting = ", ".join(f"{column} = {cell}" for column, cell in values)
        return f"UPDATE {target.name} SET {setting} {staged} AND {key[0]} = {key[1]}"
    return f"INSERT INTO {target.name} ({', '.join(columns)}) SELECT {cells} {staged} ORDER BY place"


def prepare(connection: sqlite3.Connection) -> None:
    """Make the tables and the statements of this connection."""
    connection.execute("PRAGMA temp_store = MEMORY")
    for width in _WIDTHS:
        cells = ", ".join(_cells(width))
        connection.execute(f"CREATE TEMP TABLE staged_{width} (place INTEGER PRIMARY KEY, {cells})")
    connection.execute("CREATE TEMP VIEW staged_commit (rows) AS SELECT 0")
    # One statement each, whatever they do: with every statement the interpreter's lock changes hands.
    _trigger(connection, "staged_move", "INSERT", [_moving(target) for target in ORDER])
    _trigger(connection, "staged_clear", "DELETE", [f"DELETE FROM staged_{width}" for width in _WIDTHS])


def _trigger(connection: sqlite3.Connection, name: str, event: str, statements: Sequence[str]) -> None:
    body = ";\n".join(statements)
    connection.execute(f"CREATE TEMP TRIGGER {name} INSTEAD OF {event} ON staged_commit BEGIN\n{body};\nEND")


def stage(connection: sqlite3.Connection, rows: Mapping[Target, Sequence[Sequence[object]]]) -> None:
    """Put the rows of a commit there, in place of those of the last one."""
    connection.execute("DELETE FROM staged_commit")
    waiting: dict[int, list[tuple[object, ...]]] = {width: [] for width in _WIDTHS}
    for target, some in rows.items():
        width, first = _width(target), _PLACE[target] * _ROWS_PER_TARGET_MAX
        empty = (None,) * (width - len(target.columns))
        waiting[width] += [(place, *row, *empty) for place, row in enumerate(some, first)]
    for width, padded in waiting.items():
        size, done = _ROWS_PER_STATEMENT_MAX, 0
        while done < len(padded):
            while size > len(padded) - done:
                size //= 2
            connection.execute(_statement(width, size), list(chain.from_iterable(padded[done : done + size])))
            done += size


def move(connection: sqlite3.Connection) -> None:
    """Write what is staged. Outside a transaction it is one, durable when this returns. Raises what SQLite raises."""
    connection.execute("INSERT INTO staged_commit VALUES (0)")


@cache
def _statement(width: int, rows: int) -> str:
    row = f"({', '.join('?' * (1 + width))})"
    return f"INSERT INTO staged_{width} VALUES {', '.join([row] * rows)}"
