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

    from relmachine.cli.lagging import ClusterLag
    from relmachine.cluster.looking import ClusterLook


@command
def status(
    *,
    data: Annotated[
        Path, typer.Option("--data", metavar="FOLDER", envvar="RELM_CONTEXT", help="The folder of a cluster.")
    ] = CONTEXT_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Show every process: whether it answers, restarts, CPU, memory, address; and how far behind the stream the cluster
    is. Exit 1 when a process does not answer."""
    from relmachine.cli.lagging import cluster_lag, lanes_table, threads_table
    from relmachine.cli.output import out, print_json
    from relmachine.cluster.looking import look

    seen = asyncio.run(look(data))
    lag = cluster_lag(seen)
    if as_json:
        print_json({**seen.as_json(), "lag": _as_json(lag)})
    else:
        out().print(_table(seen, lag))
        if lag.lanes:
            out().print(lanes_table(lag.lanes))
        if lag.threads:
            out().print(threads_table(lag.threads))
    if not seen.well:
        raise typer.Exit(Exit.FAILED)


def _as_json(lag: ClusterLag) -> dict[str, object]:
    return {
        "in_hand": {process: held.model_dump() for process, held in lag.in_hand.items()},
        "lanes": [lane.model_dump() for lane in lag.lanes],
        "threads": [line.model_dump() for line in lag.threads],
    }


def _table(seen: ClusterLook, lag: ClusterLag) -> Table:
    """`hints` are those that a node has in hand, `deferred` the publishers that it told to come again, `shed` the
    messages of telemetry that it dropped."""
    from relmachine.cli.output import cell, table

    columns = (
        "process",
        "#pid",
        "state",
        "ready",
        "#restarts",
        "last end",
        "#CPU s",
        "#MiB",
        "#hints",
        "#deferred",
        "#shed",
    )
    made = table(*columns, "address", title=f"machine {seen.machine}, {seen.nodes} nodes: {seen.phase}")
    for one in seen.processes:
        ready = "[green]yes[/]" if one.ready else "[red]no[/]"
        held = lag.in_hand.get(one.process)
        counts = (None,) * 3 if held is None else (held.hints, held.publishers_deferred, held.telemetry_shed)
        values = (one.restarts, one.last_exit, one.cpu_seconds, one.memory_mib, *counts, one.address)
        made.add_row(one.process, cell(one.pid), one.state, ready, *(cell(value) for value in values))
    return made
