"""`relm dev`: a node of one machine in the foreground."""

from __future__ import annotations

import logging
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relmachine.cli.failure import command
from relmachine.cli.options import JsonOption, MachineArgument

if TYPE_CHECKING:
    from relmachine.machine.machine import Machine
    from relmachine.node.settings import Settings


class Sync(StrEnum):
    """When the node's own NATS calls fsync."""

    DEFAULT = "default"
    ALWAYS = "always"


@command
def dev(
    machine: MachineArgument,
    *,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="FOLDER", help="Folder of everything that lasts. [default: .relm]")
    ] = None,
    host: Annotated[str | None, typer.Option("--host", help="Address to serve HTTP on. [default: 127.0.0.1]")] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="Port of HTTP; 0 takes a free one. [default: 8000]")
    ] = None,
    nats: Annotated[
        str | None,
        typer.Option("--nats", metavar="URL[,URL]", help="A running NATS with JetStream, instead of an own one."),
    ] = None,
    sync: Annotated[
        Sync | None, typer.Option("--sync", help="`always` lets every step survive a power cut, six times slower.")
    ] = None,
    grants: Annotated[
        Path | None, typer.Option("--grants", metavar="FILE", help="JSON file of grants instead of the one shipped.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run a node of MACHINE until Ctrl-C. Every option has a RELM_ variable (docs/cli.md)."""
    from relmachine.cli.serving import serve, settings
    from relmachine.machine.loader import load, located
    from relmachine.node import loading

    given = settings(
        data_dir=data,
        http_host=host,
        http_port=port,
        nats_urls=nats,
        stream_sync=None if sync is None else sync.value,
        grants=grants,
        control_lane=None if "RELM_CONTROL_LANE" in os.environ else "process",
    )
    declared = load(machine)
    loading.load(given)
    serve(lambda: _serve(declared, located(machine), given, as_json=as_json), log_level=logging.INFO)


async def _serve(machine: Machine, path: str, settings: Settings, *, as_json: bool) -> None:
    from relmachine.cli.output import out, print_json
    from relmachine.cli.serving import print_addresses, until_stopped
    from relmachine.node.memory import settle
    from relmachine.node.node import Node

    async with Node.running(machine, settings, path) as node:
        settle()
        if as_json:
            print_json({"machine": machine.name, "version": machine.version, "addresses": node.addresses()})
        else:
            out().print(f"machine {machine.name} {machine.version} is ready; Ctrl-C ends it", style="bold")
            print_addresses(out(), node.addresses())
        sys.stdout.flush()
        await until_stopped(node.failed())
