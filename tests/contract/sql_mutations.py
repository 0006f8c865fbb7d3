"""Every cell of every table changed in every way that SQL knows, beside the code; and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import NamedTuple

Cell = str | int | None
Row = Mapping[str, Cell]
Attempt = Callable[[str], int | str]
"""Runs one statement and takes it back: the rows it changed, or the error."""

WAYS = ("update", "update or replace", "insert", "insert or replace", "upsert", "delete")
COPIES = 4
"""Rows of each table that are tried."""


class Table(NamedTuple):
    """A table as it stands: its columns, those of its key, its rows, and a column that numbers rows, if it has one."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    rows: Sequence[Row]
    number: str | None


class Mutation(NamedTuple):
    """One statement: in which way it changes which column of which table."""

    table: str
    way: str
    column: str
    statement: str


def mutations(table: Table, rng: Random) -> Iterator[Mutation]:
    """Some rows of `table`, each cell changed to another value of its column and to nonsense, in every way."""
    for row in rng.sample(list(table.rows), min(COPIES, len(table.rows))):
        yield Mutation(table.name, "delete", "", f"DELETE FROM {table.name} WHERE {_where(table, row)}")
        for column in table.columns:
            for value in _others(table, row, column, rng):
                for way, statement in _statements(table, row, column, value):
                    yield Mutation(table.name, way, column, statement)


def accepted(tables: Sequence[Table], attempt: Attempt, rng: Random) -> dict[tuple[str, str], set[str]]:
    """By table and way the columns that could be changed; the empty column stands for a whole row."""
    found: dict[tuple[str, str], set[str]] = {}
    for table in tables:
        for mutation in mutations(table, rng):
            answer = attempt(mutation.statement)
            if isinstance(answer, int) and answer > 0:
                found.setdefault((mutation.table, mutation.way), set()).add(mutation.column)
    return found


def _others(table: Table, row: Row, column: str, rng: Random) -> list[Cell]:
    now = row[column]
    others = sorted({other[column] for other in table.rows} - {now, None}, key=str)
    nonsense: Cell = now + 1000 if isinstance(now, int) else f"{now}x"
    return [*rng.sample(others, min(1, len(others))), nonsense]


def _statements(table: Table, row: Row, column: str, value: Cell) -> Iterator[tuple[str, str]]:
    place = f"SET {column} = {literal(value)} WHERE {_where(table, row)}"
    yield "update", f"UPDATE {table.name} {place}"
    yield "update or replace", f"UPDATE OR REPLACE {table.name} {place}"
    changed = {**row, column: value}
    if changed in table.rows:  # a row that is all key and there already: it is replaced by itself
        return
    if table.number is not None and column != table.number:
        del changed[table.number]  # another number, or the row would only meet itself
    columns, values = ", ".join(changed), ", ".join(map(literal, changed.values()))
    insert = f"INTO {table.name} ({columns}) VALUES ({values})"
    yield "insert", f"INSERT {insert}"
    yield "insert or replace", f"INSERT OR REPLACE {insert}"
    yield "upsert", f"INSERT {insert} ON CONFLICT DO UPDATE SET {column} = excluded.{column}"


def _where(table: Table, row: Row) -> str:
    return " AND ".join(f"{column} IS {literal(row[column])}" for column in table.key)


def literal(value: Cell) -> str:
    """`value` in SQL."""
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"
