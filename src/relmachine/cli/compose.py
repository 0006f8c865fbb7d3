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
    from relmachine.gates.grants import Grants

compose = typer.Typer(help="The cluster in containers.", no_args_is_help=True, rich_markup_mode=None)

NodesOption = Annotated[int, typer.Option("--nodes", min=1, max=9, help="How many nodes.")]
SyncOption = Annotated[Sync, typer.Option("--sync", help="`always` lets every step survive a power cut.")]
GrantsOption = Annotated[
    Path | None,
    typer.Option("--grants", metavar="FILE", help="JSON file of grants in MACHINE's folder instead of those shipped."),
]


@compose.command("print")
@command
def print_file(
    machine: MachineArgument,
    *,
    nodes: NodesOption = 3,
    sync: SyncOption = Sync.DEFAULT,
    grants: GrantsOption = None,
) -> None:
    """Print the Compose file for MACHINE, to be stored in the folder in which it was printed."""
    from relmachine.cluster.compose import compose_text

    spec, _ = _wish(machine, nodes, sync, grants)
    folder = Path(machine).parent
    print(compose_text(spec, str(folder) if folder.is_absolute() else f"./{folder.as_posix()}"), end="")


@compose.command()
@command
def configure(
    machine: MachineArgument,
    *,
    nodes: NodesOption = 3,
    sync: SyncOption = Sync.DEFAULT,
    grants: GrantsOption = None,
) -> None:
    """Write the files of every process of MACHINE's cluster into its volume; the first container runs this."""
    from relmachine.cluster.containers import configure as write

    for file in write(*_wish(machine, nodes, sync, grants)).files:
        print(file.path)


def _wish(machine: str, nodes: int, sync: Sync, grants: Path | None) -> tuple[ClusterSpec, Grants | None]:
    """The wish, and what the file of grants holds. Errors: `machine_invalid`, `grants_invalid`."""
    from relmachine.cluster.containers import container_spec
    from relmachine.gates.grants import parse_grants
    from relmachine.machine.loader import load
    from relmachine.stream.topology import topology

    name, file = topology(load(machine).plan({})).machine, Path(machine)
    if grants is None:
        return container_spec(name, file.name, nodes, sync.value), None
    held = parse_grants(grants.read_text(encoding="utf-8"))
    folder, path = file.parent.resolve(), grants.resolve()
    if not path.is_relative_to(folder):
        sentence = f"put the file into the machine's folder, which is all that containers see of it: {folder}"
        raise typer.BadParameter(sentence, param_hint="--grants")
    return container_spec(name, file.name, nodes, sync.value, path.relative_to(folder).as_posix()), held
