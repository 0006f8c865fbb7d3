"""What SQL answered, for people and for programs."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from relmachine.algebra.identity import HASH_PATTERN, ID_PATTERN

if TYPE_CHECKING:
    from relmachine.store.port import Table

_ID = re.compile(f"{ID_PATTERN}|{HASH_PATTERN}")


def print_rows(found: Table, *, as_json: bool) -> None:
    """Print the rows on stdout, numbers to the right, ids on one line each."""
    from relmachine.cli.output import add_column, cell, out, print_json, table

    if as_json:
        print_json(found.dicts())
        return
    made = table()
    for place, name in enumerate(found.columns):
        values = [row[place] for row in found.rows]
        add_column(made, name, numbers=_all(values, _is_number), ids=_all(values, _is_id))
    for row in found.rows:
        made.add_row(*(cell(value) for value in row))
    out().print(made)


def _all(values: Sequence[object], are: Callable[[object], bool]) -> bool:
    """Whether there are values, and all of them, but for nulls, `are`."""
    known = [value for value in values if value is not None]
    return bool(known) and all(are(value) for value in known)


def _is_number(value: object) -> bool:
    return type(value) in (int, float)


def _is_id(value: object) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None
