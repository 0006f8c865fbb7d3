"""`relm replay`: a whole log through a machine, and the figures that the store then gives."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relmachine.cli.failure import Exit, command, fail, tell
from relmachine.cli.options import JsonOption, MachineArgument

if TYPE_CHECKING:
    from relmachine.ingest.steps import Log
    from relmachine.machine.machine import Machine
    from relmachine.node.replay import Replayed


@command
def replay(
    machine: MachineArgument,
    log: Annotated[
        Path, typer.Argument(metavar="LOG", help="XES or CloudEvents JSON lines, plain or gzip-compressed.")
    ],
    *,
    context: Annotated[
        Path | None,
        typer.Option(
            "--context",
            metavar="FOLDER",
            envvar="RELM_CONTEXT",
            help="Data folder of a running node to use, instead of one of its own in a temporary folder.",
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Publish nothing when a line or trace can become no step.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Replay LOG through MACHINE and print its figures. Exit 1 when a line or trace can become no step."""
    from relmachine.cli.figures import figures_table
    from relmachine.cli.output import out, print_json
    from relmachine.ingest.steps import survey
    from relmachine.machine.loader import load

    declared = load(machine)
    surveyed = survey(declared, log)
    tell_faults(surveyed, as_json=as_json, strict=strict)
    replayed = _replay(declared, surveyed, context)
    if as_json:
        print_json(replayed.as_json())
    else:
        out().print(figures_table(replayed.as_json()))
    if surveyed.faulty:
        raise typer.Exit(Exit.FAILED)


def tell_faults(log: Log, *, as_json: bool, strict: bool) -> None:
    """Name on stderr what can become no step, place by place; end the command there when it is to be strict."""
    from relmachine.errors import RelmError

    for fault in log.faults:
        error = fault.error
        tell(RelmError(error.code, f"{fault.where}: {error.sentence}", **error.witness), as_json=as_json)
    if log.faulty > len(log.faults):
        typer.echo(f"... and {log.faulty - len(log.faults)} more", err=True)
    if log.faulty and strict:
        raise typer.Exit(Exit.FAILED)


def _replay(machine: Machine, log: Log, context: Path | None) -> Replayed:
    from relmachine.cli.serving import run

    if context is not None:
        return run(_through_running(machine, log, context))
    with tempfile.TemporaryDirectory(prefix="relm-replay-") as folder:
        return run(_through_own(machine, log, Path(folder)))


async def _through_own(machine: Machine, log: Log, folder: Path) -> Replayed:
    """Through a node of this command's own, which is gone afterwards."""
    from relmachine.cli.progress import replay_bars
    from relmachine.cli.serving import settings
    from relmachine.node.node import Node
    from relmachine.node.replay import Target
    from relmachine.node.replay import replay as replay_log

    async with Node.running(machine, settings(data_dir=folder, http=False)) as node:
        with replay_bars(log.steps) as progress:
            return await replay_log(Target(node.stream.publisher, node.store, node.pids()), machine, log.path, progress)
