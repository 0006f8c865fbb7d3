"""`relm up`: a whole local cluster of real processes, kept running."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relmachine.cli.dev import Sync
from relmachine.cli.failure import command
from relmachine.cli.options import CONTEXT_DEFAULT, JsonOption
from relmachine.cluster.kind import Kind

if TYPE_CHECKING:
    from relmachine.cluster.spec import ClusterSpec
    from relmachine.cluster.state import ClusterState


@command
def up(
    *,
    nodes: Annotated[
        int | None,
        typer.Option(
            "--nodes", min=1, max=9, help="How many; a new folder has 3 servers of a kind from 3 on. [default: 3]"
        ),
    ] = None,
    machine: Annotated[
        str | None, typer.Option("--machine", metavar="MACHINE", help="The machine. [default: the folder's]")
    ] = None,
    data: Annotated[
        Path, typer.Option("--data", metavar="FOLDER", envvar="RELM_CONTEXT", help="Folder of everything that lasts.")
    ] = CONTEXT_DEFAULT,
    first_port: Annotated[
        int | None, typer.Option("--first-port", help="The first of 1,000 ports. [default: the first free block]")
    ] = None,
    sync: Annotated[
        Sync | None, typer.Option("--sync", help="`always` lets every step survive a power cut, at a lower rate.")
    ] = None,
    grants: Annotated[
        Path | None,
        typer.Option(
            "--grants", metavar="FILE", envvar="RELM_GRANTS", help="JSON file of grants instead of the one shipped."
        ),
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return once it is ready; `relm down` ends it.")] = False,
    only: Annotated[
        list[Kind] | None, typer.Option("--only", hidden=True, help="Leave every other kind of process out.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Start NATS, rqlite, Dapr, OPA and nodes, each as processes of their own, and keep them running until Ctrl-C."""
    from relmachine.cli.cluster_spec import Asked, spec_of
    from relmachine.cli.serving import serve

    asked = Asked(data, nodes, machine, first_port, None if sync is None else sync.value, grants, only)
    spec = spec_of(asked)
    if detach:
        from relmachine.cli.detached import start

        _print(start(spec), as_json=as_json, ends="relm down")
        return
    serve(lambda: _up(spec, as_json=as_json), log_level=logging.INFO)


async def _up(spec: ClusterSpec, *, as_json: bool) -> None:
    from contextlib import AsyncExitStack

    from relmachine.cli.cluster_view import Drain, starting
    from relmachine.cli.serving import until_stopped
    from relmachine.cluster.running import running

    drain = Drain()
    async with AsyncExitStack() as stack:
        with starting() as show:

            def watch(state: ClusterState) -> None:
                show(state)
                drain(state)

            cluster = await stack.enter_async_context(running(spec, watch))
        _print(cluster.state, as_json=as_json, ends="Ctrl-C")
        await until_stopped(cluster.failed())


def _print(state: ClusterState, *, as_json: bool, ends: str) -> None:
    from relmachine.cli.cluster_view import addresses, single_servers
    from relmachine.cli.output import out, print_json
    from relmachine.cli.serving import print_addresses

    note = single_servers(state.wish)
    if as_json:
        told = {"machine": state.wish.machine, "nodes": state.wish.nodes, "addresses": addresses(state), "note": note}
        print_json(told)
    else:
        processes = len(state.processes)
        out().print(f"machine {state.wish.machine}: {processes} processes are ready; {ends} ends them", style="bold")
        print_addresses(out(), addresses(state))
        if note:
            out().print(note, soft_wrap=True)
    sys.stdout.flush()
