"""`relm rejected`: the steps that were refused, and why."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from relmachine.cli.failure import command
from relmachine.cli.options import CONTEXT_DEFAULT, ContextOption, JsonOption, LimitOption, ThreadArgument

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from relmachine.store.reading import Reads, Rejection

rejected = typer.Typer(help="Refused steps: list them, show one.", no_args_is_help=True, rich_markup_mode=None)


@rejected.command("list")
@command
def list_rejected(
    *,
    thread: Annotated[str | None, typer.Option("--thread", metavar="THREAD", help="Only those of this thread.")] = None,
    limit: LimitOption = 50,
    context: ContextOption = CONTEXT_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """List the steps refused last, the newest first."""
    from relmachine.cli.addressing import thread_token
    from relmachine.cli.asking import ask
    from relmachine.cli.output import out, print_json

    token = None if thread is None else thread_token(thread)
    found = ask(context, lambda store: _newest(store, token, limit))
    if as_json:
        print_json([asdict(item) for item in found])
    else:
        out().print(_table(found))


@rejected.command("show")
@command
def show_rejected(
    thread: ThreadArgument,
    sequence: Annotated[int, typer.Argument(metavar="SEQUENCE", help="The step's stream sequence.")],
    *,
    context: ContextOption = CONTEXT_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Show one refused step with its witness."""
    from relmachine.cli.addressing import thread_token
    from relmachine.cli.asking import ask
    from relmachine.cli.output import cell, out, print_json, witness_text
    from relmachine.store import reading

    token = thread_token(thread)
    item = ask(context, lambda store: reading.rejection(store, token, sequence))
    if as_json:
        print_json(asdict(item))
        return
    out().print(f"[bold red]{item.code}[/]: {cell(item.sentence)}", soft_wrap=True)
    out().print(cell(witness_text(item.witness)), soft_wrap=True)
    key = item.step_key or "without a key"
    out().print(f"step {cell(item.step)}, {cell(key)}, refused by gate {item.gate} ({item.lifecycle})", soft_wrap=True)


async def _newest(store: Reads, thread: str | None, limit: int) -> list[Rejection]:
    from relmachine.store import reading

    if thread is None:
        return await reading.newest_rejections(store, limit)
    await reading.resolve(store, thread)  # a thread that does not exist is not one without refusals
    return (await reading.rejections(store, thread))[: -limit - 1 : -1]


def _table(found: Sequence[Rejection]) -> Table:
    from relmachine.cli.output import cell, table
    from relmachine.kernel.thread_token import thread_label

    made = table("thread", "#sequence", "step", "gate", "code", "sentence")
    for item in found:
        label = cell(thread_label(item.thread))
        made.add_row(label, str(item.sequence), cell(item.step), item.gate, item.code, cell(item.sentence))
    return made
