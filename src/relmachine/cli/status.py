"""`relm status`: the processes of a cluster, as they answer now."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relmachine.cli.failure import Exit, command
from relmachine.cli.options import CONTEXT_DEFAULT, JsonOption

if TYPE_CHECKING:
    from rich.table import Table

    from relmachine.cluster.looking import ClusterLook


@command
def status(
    *,
    data: Annotated[
        Path, typer.Option("--data", metavar="FOLDER", envvar="RELM_CONTEXT", help="The folder of a cluster.")
    ] = CONTEXT_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Show every process: whether it answers, restarts, CPU, memory, address. Exit 1 when one does not answer."""
    from relmachine.cli.output import out, print_json
    from relmachine.cluster.looking import look

    seen = asyncio.run(look(data))
    if as_json:
        print_json(seen.as_json())
    else:
        out().print(_table(seen))
    if not seen.well:
        raise typer.Exit(Exit.FAILED)


def _table(seen: ClusterLook) -> Table:
    from relmachine.cli.output import cell, table

    columns = ("process", "#pid", "state", "ready", "#restarts", "last end", "#CPU s", "#MiB", "address")
    made = table(*columns, title=f"machine {seen.machine}, {seen.nodes} nodes: {seen.phase}")
    for one in seen.processes:
        ready = "[green]yes[/]" if one.ready else "[red]no[/]"
        values = (one.restarts, one.last_exit, one.cpu_seconds, one.memory_mib, one.address)
        made.add_row(one.process, cell(one.pid), one.state, ready, *(cell(value) for value in values))
    return made
