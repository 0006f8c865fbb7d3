"""`relm compose`: the cluster in containers. Not for people at a prompt, so left out of `relm --help`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relmachine.cli.dev import Sync
from relmachine.cli.failure import command
from relmachine.cli.options import MachineArgument

if TYPE_CHECKING:
    from relmachine.cluster.spec import ClusterSpec

compose = typer.Typer(help="The cluster in containers.", no_args_is_help=True, rich_markup_mode=None)

NodesOption = Annotated[int, typer.Option("--nodes", min=1, max=9, help="How many nodes.")]
SyncOption = Annotated[Sync, typer.Option("--sync", help="`always` lets every step survive a power cut.")]


@compose.command("print")
@command
def print_file(machine: MachineArgument, *, nodes: NodesOption = 3, sync: SyncOption = Sync.DEFAULT) -> None:
    """Print the Compose file for MACHINE, to be stored in the folder in which it was printed."""
    from relmachine.cluster.compose import compose_text

    folder = Path(machine).parent
    source = str(folder) if folder.is_absolute() else f"./{folder.as_posix()}"
    print(compose_text(_spec(machine, nodes, sync), source), end="")


@compose.command()
@command
def configure(machine: MachineArgument, *, nodes: NodesOption = 3, sync: SyncOption = Sync.DEFAULT) -> None:
    """Write the files of every process of MACHINE's cluster into its volume; the first container runs this."""
    from relmachine.cluster.containers import configure as write

    for file in write(_spec(machine, nodes, sync)).files:
        print(file.path)


def _spec(machine: str, nodes: int, sync: Sync) -> ClusterSpec:
    from relmachine.cluster.containers import container_spec
    from relmachine.machine.loader import load
    from relmachine.stream.topology import topology

    name = topology(load(machine).plan({})).machine
    return container_spec(name, Path(machine).name, nodes, sync.value)
