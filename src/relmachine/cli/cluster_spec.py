"""From the options of `relm up`, and what the folder remembers, to the cluster that is meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import typer

from relmachine.cluster import running
from relmachine.cluster.kind import Kind
from relmachine.cluster.spec import ClusterSpec
from relmachine.cluster.state import Wish
from relmachine.errors import Code, RelmError
from relmachine.machine.loader import load
from relmachine.stream.topology import topology

NODES_DEFAULT = 3


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of `relm up`; None for what was not given."""

    data: Path
    nodes: int | None = None
    machine: str | None = None
    first_port: int | None = None
    sync: Literal["default", "always"] | None = None
    grants: Path | None = None
    only: Sequence[Kind] | None = None


def spec_of(asked: Asked) -> ClusterSpec:
    """What was asked, else what the cluster of the folder was started with, else the defaults.

    Errors: `machine_invalid`, `not_found`; `store_machine_mismatch` for another machine than the folder's,
    `topology_mismatch` for another number of servers than the folder has, `unreachable` for other ports.
    """
    before = running.recorded(asked.data)
    path = Path(asked.machine) if asked.machine is not None else None if before is None else before.machine_path
    if path is None:
        raise typer.BadParameter("name the machine of a new cluster: a .yaml or .py file", param_hint="--machine")
    port = running.first_port(asked.data, asked.first_port)
    name = topology(load(str(path)).plan({})).machine
    wish = before or Wish.of(ClusterSpec(NODES_DEFAULT, asked.data, name, path, port))
    spec = ClusterSpec(
        nodes=asked.nodes or wish.nodes,
        data_dir=asked.data.resolve(),
        machine=name,
        machine_path=path.resolve(),
        first_port=port,
        sync=asked.sync or wish.sync,
        kinds=frozenset(asked.only or wish.kinds),
        grants_path=wish.grants_path if asked.grants is None else asked.grants.resolve(),
    )
    if before is not None:
        _check_same(before, spec)
    return spec


def _check_same(before: Wish, spec: ClusterSpec) -> None:
    """Refuse what the data in the folder cannot follow: another machine, another number of replicas."""
    if before.machine != spec.machine:
        sentence = f"the cluster in this folder is one of machine {before.machine}: name another folder with --data"
        raise RelmError(Code.STORE_MACHINE_MISMATCH, sentence, found=before.machine, expected=spec.machine)
    replicas = replace(spec, nodes=before.nodes).replicas
    if replicas != spec.replicas:
        sentence = "the servers in this folder are of another number: name another folder with --data, or other --nodes"
        raise RelmError(Code.TOPOLOGY_MISMATCH, sentence, replicas=replicas, nodes=before.nodes)
