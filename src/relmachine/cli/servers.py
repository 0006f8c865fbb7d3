"""`relm servers`: which servers of a cluster are on this machine, and building those that are not."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from relmachine.cli.failure import command
from relmachine.cli.options import JsonOption

servers = typer.Typer(help="Servers of a cluster: list them, build them.", no_args_is_help=True, rich_markup_mode=None)

OnlyOption = Annotated[
    list[str] | None, typer.Option("--only", metavar="NAME", help="Build this one; may be given several times.")
]


@servers.command("list")
@command
def list_servers(*, as_json: JsonOption = False) -> None:
    """List the servers: version, licence, and where each is, if it is here."""
    from relmachine.cli.output import cell, out, print_json, table
    from relmachine.servers import available

    found = available().values()
    if as_json:
        print_json([asdict(server) for server in found])
        return
    made = table("server", "version", "how", "licence", "#MB", "path")
    for server in found:
        where = cell(str(server.path)) if server.path else "not here: make servers"
        made.add_row(server.name, server.version, server.how, server.licence, _megabytes(server.size_bytes), where)
    out().print(made)


@servers.command("build")
@command
def build_servers(*, only: OnlyOption = None, as_json: JsonOption = False) -> None:
    """Build the servers that are not here yet, into the user's cache folder. Needs Go and, for some, a C compiler."""
    from relmachine.cli.output import cell, out, print_json, table
    from relmachine.servers.builder import build

    there = build(only or (), say=lambda line: print(line, file=sys.stderr, flush=True))
    if as_json:
        print_json([asdict(server) for server in there])
        return
    made = table("server", "version", "built", "#seconds", "#MB", "path")
    for server in there:
        receipt = server.receipt
        when = "now" if server.fresh else "before"
        size = _megabytes(receipt.size_bytes)
        made.add_row(server.name, server.version, when, f"{receipt.seconds:.0f}", size, cell(str(server.path)))
    out().print(made)
    now, before = (sum(server.receipt.seconds for server in there if server.fresh is fresh) for fresh in (True, False))
    out().print(f"servers: {len(there)}; {now:.0f} s of building now, {before:.0f} s before")


def _megabytes(size_bytes: int | None) -> str:
    return "" if size_bytes is None else f"{size_bytes / 1e6:.0f}"
