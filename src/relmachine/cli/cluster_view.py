"""What people see of a cluster: the table while it starts, its addresses, and a line for each process that ends."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.live import Live
from rich.table import Table

from relmachine.cli.output import errors, table
from relmachine.cluster.spec import REPLICATED_FROM
from relmachine.cluster.state import ClusterState, Phase, Stage

if TYPE_CHECKING:
    from relmachine.cluster.state import ProcessState, Wish

_STYLES = {
    Stage.READY: "green",
    Stage.FAILING: "red",
    **dict.fromkeys((Stage.PAUSING, Stage.STARTING, Stage.JOINING, Stage.LEAVING), "yellow"),
}


def state_table(state: ClusterState) -> Table:
    """Every process and where it stands."""
    ready = sum(process.stage is Stage.READY for process in state.processes)
    made = table("process", "state", "#pid", "#restarts", "address")
    made.title = f"machine {state.wish.machine}: {ready} of {len(state.processes)} processes ready"
    for process in state.processes:
        made.add_row(process.name, _stage(process), str(process.pid or ""), str(process.restarts), process.address)
    return made


def _stage(process: ProcessState) -> str:
    style = _STYLES.get(process.stage, "dim")
    return f"[{style}]{process.stage}[/]"


@contextmanager
def starting() -> Generator[Callable[[ClusterState], None]]:
    """Yields what to call whenever the state changed: a table that follows it on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with Live(console=errors(), transient=True, auto_refresh=False) as live:
        yield lambda state: live.update(state_table(state), refresh=True)


class Drain:
    """Prints a line for each process that ends, once the cluster drains. Call it with the state."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def __call__(self, state: ClusterState) -> None:
        if state.phase in {Phase.STARTING, Phase.READY, Phase.DEGRADED}:
            return
        for process in state.processes:
            if process.stage is Stage.STOPPED and process.last_exit is not None and process.name not in self._told:
                self._told.add(process.name)
                print(f"{process.name} stopped: {process.last_exit}", file=sys.stderr, flush=True)


def single_servers(wish: Wish) -> str | None:
    """What is to be said of a cluster with enough nodes for three servers of each kind that began with fewer."""
    if wish.replicas != 1 or wish.nodes < REPLICATED_FROM:
        return None
    return (
        "NATS, rqlite and placement stay one server each, as this folder began with fewer nodes: while one is down, "
        "nothing is settled. For three of each start a new folder with three nodes or more"
    )


def addresses(state: ClusterState) -> dict[str, str]:
    """Where people and programs reach the cluster: its nodes, else every server."""
    nodes = {process.name: process.address for process in state.processes if process.kind == "node"}
    return nodes or {process.name: process.address for process in state.processes}
