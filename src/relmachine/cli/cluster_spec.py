"""From the options of `relm up`, and what the folder remembers, to the cluster that is meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import typer

from relmachine.cluster import running
from relmachine.cluster.kind import Kind
from relmachine.cluster.nodes import resized
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

    A folder keeps the number of its servers whatever the number of nodes is; of another number of nodes it keeps those
    with the lowest numbers.
    Errors: `machine_invalid`, `not_found`; `store_machine_mismatch` for another machine than the folder's,
    `unreachable` for other ports, `limit_exceeded`.
    """
    before = running.recorded(asked.data)
    path = Path(asked.machine) if asked.machine is not None else None if before is None else before.machine_path
    if path is None:
        raise typer.BadParameter("name the machine of a new cluster: a .yaml or .py file", param_hint="--machine")
    port = running.first_port(asked.data, asked.first_port)
    name = topology(load(str(path)).plan({})).machine
    if before is None:
        known = ClusterSpec(asked.nodes or NODES_DEFAULT, asked.data.resolve(), name, path.resolve(), port)
    else:
        _check_same(before, name)
        known = resized(before.spec(asked.data.resolve()), asked.nodes or before.nodes)
    return replace(
        known,
        machine_path=path.resolve(),
        sync=asked.sync or known.sync,
        kinds=frozenset(asked.only or known.kinds),
        grants_path=known.grants_path if asked.grants is None else asked.grants.resolve(),
    )


def _check_same(before: Wish, machine: str) -> None:
    """Refuse what the data in the folder cannot follow."""
    if before.machine != machine:
        sentence = f"the cluster in this folder is one of machine {before.machine}: name another folder with --data"
        raise RelmError(Code.STORE_MACHINE_MISMATCH, sentence, found=before.machine, expected=machine)
