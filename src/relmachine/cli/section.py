"""`relm section`: the values of a thread's fields, now or at a point of its history."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from relmachine.cli.failure import command
from relmachine.cli.options import CONTEXT_DEFAULT, ContextOption, JsonOption, ThreadArgument


@command
def section(
    thread: ThreadArgument,
    *,
    at: Annotated[
        str | None, typer.Option("--at", metavar="POINT", help="A stream sequence or a history id; now, if absent.")
    ] = None,
    settled: Annotated[bool, typer.Option("--settled", help="Only what settled events contributed.")] = False,
    context: ContextOption = CONTEXT_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Print the section of a thread: each field's contributions, folded by its reducer."""
    from relmachine.cli.addressing import thread_token
    from relmachine.cli.asking import ask
    from relmachine.cli.output import out, print_json
    from relmachine.cli.thread import section_table
    from relmachine.store import reading

    token = thread_token(thread)
    # A history id has more digits than any sequence.
    point = int(at) if at is not None and at.isdecimal() and len(at) < 20 else at
    view = ask(context, lambda store: reading.section(store, token, point, settled_only=settled))
    if as_json:
        print_json(asdict(view))
    else:
        out().print(f"history {view.history} at sequence {view.sequence}", soft_wrap=True)
        out().print(section_table(view))
