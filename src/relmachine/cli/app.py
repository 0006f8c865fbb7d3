"""The commands of `relm` under their names."""

from __future__ import annotations

from typing import Annotated

import typer

from relmachine.cli.check import check
from relmachine.cli.compose import compose
from relmachine.cli.demo import demo
from relmachine.cli.dev import dev
from relmachine.cli.down import down
from relmachine.cli.held import held
from relmachine.cli.nodes import nodes
from relmachine.cli.obstructions import obstructions
from relmachine.cli.publish import publish
from relmachine.cli.rejected import rejected
from relmachine.cli.replay import replay
from relmachine.cli.replay_thread import replay_thread
from relmachine.cli.section import section
from relmachine.cli.servers import servers
from relmachine.cli.sql import sql
from relmachine.cli.status import status
from relmachine.cli.thread import threads
from relmachine.cli.thread_control import budget, cancel, close, pause, resume
from relmachine.cli.thread_export import export
from relmachine.cli.thread_forking import fork, merge
from relmachine.cli.thread_runs import runs
from relmachine.cli.thread_watch import watch
from relmachine.cli.up import up
from relmachine.cli.usage import Commands
from relmachine.cli.verify import verify
from relmachine.cli.why import why
from relmachine.version import __version__

app = typer.Typer(
    name="relm",
    cls=Commands,
    help="A distributed relational machine runtime: publish steps, settle what is proven consistent.",
    epilog="Exit codes: 0 ok, 1 a check failed, 2 usage, 3 not found, 4 a part is unreachable, 130 interrupted.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"relm {__version__}")
        raise typer.Exit


@app.callback()
def relm(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    pass


for run in (dev, demo, check, publish, replay, replay_thread):
    app.command()(run)
for run in (runs, export, fork, merge, watch, cancel, pause, resume, close, budget):
    threads.command()(run)
app.add_typer(threads, name="thread")
app.command()(section)
app.command()(why)
app.add_typer(rejected, name="rejected")
app.command()(held)
app.add_typer(obstructions, name="obstructions")
app.command()(up)
app.command()(status)
app.add_typer(nodes, name="nodes")
app.command()(down)
app.add_typer(servers, name="servers")
app.add_typer(compose, name="compose", hidden=True)
for run in (verify, sql):
    app.command()(run)
