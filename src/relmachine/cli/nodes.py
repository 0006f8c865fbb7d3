"""`relm nodes`: nodes of a running cluster come, go and restart."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relmachine.cli.failure import command
from relmachine.cli.options import CONTEXT_DEFAULT, JsonOption

if TYPE_CHECKING:
    from relmachine.cluster.requests import Request

nodes = typer.Typer(
    help="Nodes of a running cluster: list, add, remove, restart them.", no_args_is_help=True, rich_markup_mode=None
)

DataOption = Annotated[
    Path, typer.Option("--data", metavar="FOLDER", envvar="RELM_CONTEXT", help="The folder of a cluster.")
]
_NAMES = "Names as `relm nodes list` shows them."


@nodes.command("list")
@command
def list_nodes(*, data: DataOption = CONTEXT_DEFAULT, as_json: JsonOption = False) -> None:
    """List the nodes: where each stands, whether it answers, its restarts and its address."""
    from relmachine.cli.output import cell, out, print_json, table
    from relmachine.cluster.looking import look

    seen = asyncio.run(look(data))
    found = [one for one in seen.processes if one.is_node]
    if as_json:
        print_json([asdict(one) for one in found])
        return
    made = table(
        "node", "state", "ready", "#pid", "#restarts", "address", title=f"machine {seen.machine}: {seen.phase}"
    )
    for one in found:
        ready = "[green]yes[/]" if one.ready else "[red]no[/]"
        made.add_row(one.process, one.state, ready, cell(one.pid), str(one.restarts), one.address)
    out().print(made)


@nodes.command()
@command
def add(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Such as node-4.")] = None,
    *,
    count: Annotated[
        int | None, typer.Option("--count", min=1, max=9, help="So many, of the lowest free numbers. [default: 1]")
    ] = None,
    data: DataOption = CONTEXT_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Have more nodes, each with a sidecar and an OPA server of its own; return once they take part."""
    from relmachine.cluster.requests import Add

    if names and count is not None:
        raise typer.BadParameter("name the nodes, or say how many", param_hint="--count")
    _ask(data, Add(nodes=tuple(names or ()), count=count or 1), as_json=as_json)


@nodes.command()
@command
def remove(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help=_NAMES)],
    *,
    data: DataOption = CONTEXT_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Have nodes no more: each hands over what it has in hand and ends, then its sidecar and its OPA server."""
    from relmachine.cluster.requests import Remove

    _ask(data, Remove(nodes=tuple(names)), as_json=as_json)


@nodes.command()
@command
def restart(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help=_NAMES)] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Every node.")] = False,
    data: DataOption = CONTEXT_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Restart nodes one at a time: the next one ends once the one before is ready again."""
    from relmachine.cluster.requests import Restart

    if every is bool(names):
        raise typer.BadParameter("name the nodes, or give --all", param_hint="--all")
    _ask(data, Restart(nodes=tuple(names or ())), as_json=as_json)


def _ask(data: Path, request: Request, *, as_json: bool) -> None:
    from relmachine.cli.cluster_view import single_servers
    from relmachine.cli.interrupt import Interrupted
    from relmachine.cli.output import out, print_json
    from relmachine.cluster.asking import ask
    from relmachine.cluster.state import ClusterState

    try:
        done = ask(data, request, lambda told: None if as_json else print(told, file=sys.stderr, flush=True))
    except KeyboardInterrupt as error:
        raise Interrupted(sentence="interrupted; what was begun goes on: see `relm nodes list`") from error
    note = single_servers(ClusterState.load(data).wish)
    if as_json:
        print_json({**done.model_dump(), "note": note})
        return
    out().print(f"nodes: {', '.join(done.nodes)}" if done.changed else f"nothing to do; nodes: {', '.join(done.nodes)}")
    if note:
        out().print(note, soft_wrap=True)
