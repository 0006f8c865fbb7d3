"""`relm sql`: one reading query on the store."""

from __future__ import annotations

from typing import Annotated

import typer

from relmachine.cli.failure import command
from relmachine.cli.options import CONTEXT_DEFAULT, ContextOption, JsonOption


@command
def sql(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="One SELECT; the store cannot be written here.")],
    *,
    context: ContextOption = CONTEXT_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Run one SELECT on the store, within its limits of rows and seconds."""
    from relmachine.cli.asking import ask
    from relmachine.cli.output import cell, out, print_json, table

    found = ask(context, lambda store: store.select(query))
    if as_json:
        print_json(found.dicts())
        return
    made = table(*found.columns)
    for row in found.rows:
        made.add_row(*(cell(value) for value in row))
    out().print(made)
