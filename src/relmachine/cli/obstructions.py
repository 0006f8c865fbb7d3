"""`relm obstructions`: what keeps threads from being merged; list, show, resolve."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, cast

import typer

from relmachine.cli.failure import command
from relmachine.cli.options import CONTEXT_DEFAULT, ContextOption, JsonOption, LimitOption
from relmachine.cli.records import IdOption, PrincipalOption, ask_node, print_applied

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.table import Table

    from relmachine.store.reading import ObstructionLine, ObstructionView

obstructions = typer.Typer(
    help="Obstructions: what keeps threads from being merged; list, show, resolve.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The obstruction's id.")]


@obstructions.command("list")
@command
def list_obstructions(
    *,
    thread: Annotated[str | None, typer.Option("--thread", metavar="THREAD", help="Only those of this thread.")] = None,
    open_only: Annotated[bool, typer.Option("--open", help="Only those that nobody has resolved.")] = False,
    limit: LimitOption = 50,
    context: ContextOption = CONTEXT_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """List the obstructions met last, the newest first."""
    from relmachine.cli.addressing import thread_token
    from relmachine.cli.asking import ask
    from relmachine.cli.output import out, print_json
    from relmachine.store import reading

    token = None if thread is None else thread_token(thread)
    found = ask(context, lambda store: reading.obstructions(store, token, resolved=not open_only, limit=limit))
    if as_json:
        print_json([asdict(line) for line in found])
    else:
        out().print(_table(found))


@obstructions.command("show")
@command
def show_obstruction(
    identity: IdArgument, *, context: ContextOption = CONTEXT_DEFAULT, as_json: JsonOption = False
) -> None:
    """Show one obstruction: both sides, why neither comes first, and its resolution."""
    from relmachine.cli.asking import ask
    from relmachine.cli.output import print_json
    from relmachine.store import reading

    found = ask(context, lambda store: reading.obstruction(store, identity))
    if as_json:
        print_json({**asdict(found.line), "sides": [asdict(side) for side in found.sides]})
    else:
        _print(found)


@obstructions.command("resolve")
@command
def resolve_obstruction(
    identity: IdArgument,
    *,
    keep: Annotated[str, typer.Option("--keep", metavar="THREAD", help="The thread whose side stays.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, for whoever reads it later.")],
    id: IdOption = None,
    principal: PrincipalOption = None,
    context: ContextOption = CONTEXT_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Resolve an obstruction, for good: further merges leave the other side out. Merge again to have them."""
    from relmachine.cli.addressing import running, thread_token
    from relmachine.cli.output import print_json

    token = thread_token(keep)
    members = {"keep": token, "reason": reason}
    answer = ask_node(running(context), f"/obstructions/{identity}/resolution", members, id, principal)
    if as_json:
        print_json(answer)
    else:
        print_applied(answer, f"resolved, the side of {token} stays,")


def _table(found: Sequence[ObstructionLine]) -> Table:
    from relmachine.cli.output import cell, table

    made = table("thread", "other", "#sequence", "disagreement", "witness", "resolution", "@id")
    for line in found:
        done = "open" if line.resolution is None else f"{line.resolution.keep} stays"
        place = (line.thread, line.other, str(line.sequence), line.disagreement)
        made.add_row(*map(cell, place), cell(_why(line)), cell(done), line.obstruction)
    return made


def _why(line: ObstructionLine) -> str:
    """The field on which the sides differ, or the first reason why they depend on each other."""
    if line.field:
        return line.field
    for reason in line.witness:
        return str(cast("Mapping[str, object]", reason)["sentence"]) if isinstance(reason, dict) else str(reason)
    return ""


def _print(found: ObstructionView) -> None:
    from relmachine.cli.output import cell, out, table

    line = found.line
    console = out()
    console.print(f"[bold]{line.disagreement}[/] {cell(_why(line))}", soft_wrap=True)
    console.print(cell(f"{line.other} into {line.thread}, first met at sequence {line.sequence}"), soft_wrap=True)
    made = table("thread", "step", "#sequence", "principal", "value", "@event")
    for side in found.sides:
        for event in side.events:
            made.add_row(
                *map(cell, (side.thread, event.step, str(event.sequence), event.principal, side.value)), event.event
            )
    console.print(made)
    if (done := line.resolution) is None:
        console.print("open: `relm obstructions resolve`, or leave the threads apart", soft_wrap=True)
    else:
        told = f"{done.keep} stays, says {done.principal} at sequence {done.sequence}: {done.reason}"
        console.print(cell(told), soft_wrap=True)
