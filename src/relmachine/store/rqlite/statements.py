"""Statements for the replicated store: one per table for many rows, which travel as one JSON text.

Measured on rqlite: `INSERT … SELECT … FROM json_each(?)` costs a third of a statement per row (see DESIGN.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

import orjson

from relmachine.store.rqlite.client import Statement
from relmachine.store.tables import Target


class Fragment(NamedTuple):
    """Rows as JSON arrays separated by commas, and the bytes of that text. Fragments can be joined with commas."""

    text: str
    bytes: int


def fragments(rows: Sequence[Sequence[object]], bytes_max: int) -> tuple[Fragment, ...]:
    """`rows` in as few fragments of at most `bytes_max` as halving gives; a single row may be longer."""
    if not rows:
        return ()
    # Rows are named tuples, which orjson does not write by itself.
    text = orjson.dumps(rows, default=tuple)
    if len(text) <= bytes_max or len(rows) == 1:
        return (Fragment(text[1:-1].decode(), len(text) - 2),)
    half = len(rows) // 2
    return fragments(rows[:half], bytes_max) + fragments(rows[half:], bytes_max)


def joined(statement: str, parts: Iterable[Fragment], bytes_max: int) -> list[Statement]:
    """`statement` over the rows in `parts`, as often as `bytes_max` for its parameter demands."""
    statements: list[Statement] = []
    waiting: list[str] = []
    size = 0
    for text, more in parts:
        if waiting and size + more > bytes_max:
            statements.append((statement, f"[{','.join(waiting)}]"))
            waiting, size = [], 0
        waiting.append(text)
        size += more + 1
    if waiting:
        statements.append((statement, f"[{','.join(waiting)}]"))
    return statements


def inserts(target: Target, rows: Sequence[Sequence[object]], bytes_max: int) -> list[Statement]:
    """The statements that insert `rows` in order."""
    return joined(insert_text(target), fragments(rows, bytes_max), bytes_max)


@cache
def insert_text(target: Target) -> str:
    """The statement that inserts the rows of a JSON array of arrays."""
    values = ", ".join(f"value ->> {index}" for index in range(len(target.columns)))
    return f"INSERT INTO {target.name} ({', '.join(target.columns)}) SELECT {values} FROM json_each(?)"
