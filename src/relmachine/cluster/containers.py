"""The plan of a cluster in which every process has a container of its own. Pure, but for `configure`.

It is the plan that `relm up` runs, with three differences: a process listens on, and is reached by, its own name; its
folder is a volume; and what holds a login is a file, since whoever may look at a container may read its environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from relmachine.cluster.kind import Kind
from relmachine.cluster.logins import Logins, load_or_create
from relmachine.cluster.plan import plan, programs
from relmachine.cluster.ports import FIRST_PORT
from relmachine.cluster.processes_node import PYTHON
from relmachine.cluster.spec import NODES_MAX, ClusterPlan, ClusterSpec, ConfigFile, ProcessSpec
from relmachine.gates.grants import Grants
from relmachine.node.private import write_private

DATA = Path("/data")
"""Where a container has the volumes of its processes, each under the process's name."""

MACHINE = Path("/machine")
"""Where a container has the folder of the machine's file."""

CLUSTER = "cluster"
"""Name of the volume of the cluster's logins, which no process of it sees."""

_PROGRAMS = Path("/usr/local/bin")
_SECRETS = "secrets"


def container_spec(
    machine: str, file: str, nodes: int, sync: Literal["default", "always"] = "default", grants: str | None = None
) -> ClusterSpec:
    """The wish for containers: `machine` is declared in `file`, and its grants, unless they are the ones shipped, in
    `grants`; both are names in the folder `MACHINE`."""
    path = None if grants is None else MACHINE / grants
    return ClusterSpec(nodes, DATA, machine, MACHINE / file, FIRST_PORT, sync, grants_path=path)


def container_plan(spec: ClusterSpec, logins: Logins, grants: Grants | None = None) -> ClusterPlan:
    """The plan for containers; `grants` are what the file of grants holds. Errors: `limit_exceeded`."""
    found = {name: _PROGRAMS / name for name in programs(spec)}
    made = plan(spec, {**found, PYTHON: Path("python3")}, logins, grants, own_hosts=True)
    processes: list[ProcessSpec] = []
    files = list(made.files)
    for process in made.processes:
        moved, secrets = _without_secrets(process, logins)
        processes.append(moved)
        files.extend(secrets)
    return ClusterPlan(processes, files)


def _without_secrets(process: ProcessSpec, logins: Logins) -> tuple[ProcessSpec, list[ConfigFile]]:
    """The process with its variables that hold a login in files (see `node.settings`, and `with-secrets` beside the
    Dockerfile), and these.
    """
    secret = {
        name: value
        for name, value in process.environment.items()
        if any(password in value for password in logins.passwords)
    }
    if not secret:
        return process, []
    folder = process.folder / _SECRETS
    told = {name: value for name, value in process.environment.items() if name not in secret}
    files = [ConfigFile(folder / name, value, mode=0o600) for name, value in secret.items()]
    return replace(process, environment={**told, "RELM_SECRETS_DIR": str(folder)}), files


def volumes() -> Mapping[str, Path]:
    """Every volume that a cluster of any size may have, and where its containers have it."""
    largest = container_spec(CLUSTER, CLUSTER, NODES_MAX)
    names = [CLUSTER, *(name for kind in Kind for name in largest.names(kind))]
    return {name: largest.folder(name) for name in names}


def configure(spec: ClusterSpec, grants: Grants | None = None) -> ClusterPlan:
    """Write every file of the plan into its volume, and logins, made now when there are none yet. Returns the plan."""
    made = container_plan(spec, load_or_create(spec.folder(CLUSTER)), grants)
    for file in made.files:
        file.path.parent.mkdir(parents=True, exist_ok=True)
        write_private(file.path, file.text, file.mode)
    return made
