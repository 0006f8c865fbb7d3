"""`relm sql`: one reading query on the store."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from relmachine.cli.failure import command
from relmachine.cli.options import CONTEXT_DEFAULT, ContextOption, JsonOption

_ID = re.compile("[0-9a-f]{64}")


@command
def sql(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="One SELECT; the store cannot be written here.")],
    *,
    context: ContextOption = CONTEXT_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Run one SELECT on the store, within its limits of rows and seconds."""
    from relmachine.cli.asking import ask
    from relmachine.cli.output import add_column, cell, out, print_json, table

    found = ask(context, lambda store: store.select(query))
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
