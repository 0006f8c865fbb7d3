"""From the wish to everything that is to be written and run. Pure: the same wish and logins give the same plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from relmachine.cluster import processes, processes_dapr, processes_node
from relmachine.cluster.kind import Kind
from relmachine.cluster.logins import Logins
from relmachine.cluster.ports import ports
from relmachine.cluster.site import Made, Site
from relmachine.cluster.spec import ClusterPlan, ClusterSpec, ConfigFile, ProcessSpec
from relmachine.gates.grants import Grants

_MAKE: Mapping[Kind, Callable[[Site, str], Made]] = {
    Kind.NATS: processes.nats,
    Kind.RQLITE: processes.rqlite,
    Kind.PLACEMENT: processes_dapr.placement,
    Kind.SCHEDULER: processes_dapr.scheduler,
    Kind.OPA: processes.opa,
    Kind.SIDECAR: processes_dapr.sidecar,
    Kind.NODE: processes_node.node,
}

_PROGRAMS: Mapping[Kind, str] = {
    Kind.NATS: "nats-server",
    Kind.RQLITE: "rqlited",
    Kind.PLACEMENT: "placement",
    Kind.SCHEDULER: "scheduler",
    Kind.OPA: "opa",
    Kind.SIDECAR: "daprd",
}
"""The server that a kind of process runs; a node runs this Python."""


def programs(spec: ClusterSpec) -> list[str]:
    """Names of the servers that a cluster needs, as `relmachine.servers.locate` knows them."""
    return [program for kind, program in _PROGRAMS.items() if spec.count(kind)]


def plan(
    spec: ClusterSpec,
    found: Mapping[str, Path],
    logins: Logins,
    grants: Grants | None = None,
    *,
    own_hosts: bool = False,
) -> ClusterPlan:
    """The plan for `spec`; `found` are the programs by name, `grants` what its file of grants holds. With
    `own_hosts` every process has a host of its name, else all are on this machine.

    Errors: `limit_exceeded` when the ports do not fit.
    """
    site = Site(spec, ports(spec), found, logins, grants, own_hosts)
    made: list[ProcessSpec] = []
    files: list[ConfigFile] = []
    for kind, make in _MAKE.items():
        for name in spec.names(kind):
            process, written = make(site, name)
            made.append(process)
            files.extend(written)
    return ClusterPlan(made, files)
