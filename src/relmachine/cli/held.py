"""`relm held`: the steps that wait for claims they need."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from relmachine.cli.failure import command
from relmachine.cli.options import CONTEXT_DEFAULT, ContextOption, JsonOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from relmachine.store.held import HeldLine
    from relmachine.store.port import Reads


@command
def held(
    *,
    thread: Annotated[str | None, typer.Option("--thread", metavar="THREAD", help="Only those of this thread.")] = None,
    context: ContextOption = CONTEXT_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """List the steps that wait for claims they need."""
    from relmachine.cli.addressing import thread_token
    from relmachine.cli.asking import ask
    from relmachine.cli.output import out, print_json

    token = None if thread is None else thread_token(thread)
    found = ask(context, lambda store: _held(store, token))
    if as_json:
        print_json([asdict(item) for item in found])
    else:
        out().print(_table(found))


async def _held(store: Reads, thread: str | None) -> list[HeldLine]:
    from relmachine.store import reading
    from relmachine.store.held import held_lines

    if thread is not None:
        await reading.resolve(store, thread)  # a thread that does not exist is not one without held steps
    return await held_lines(store, thread)


def _table(found: Sequence[HeldLine]) -> Table:
    from relmachine.cli.output import cell, table
    from relmachine.kernel.thread_token import thread_label

    made = table("thread", "#sequence", "step", "missing")
    for item in found:
        made.add_row(
            cell(thread_label(item.thread)), str(item.sequence), cell(item.step), cell(", ".join(item.missing))
        )
    return made
