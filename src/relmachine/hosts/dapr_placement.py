"""What the servers of placement and of the scheduler are started with, as values (see `dapr_sidecar`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from relmachine.hosts.dapr_sidecar import flag_list


@dataclass(frozen=True, slots=True)
class PlacementPorts:
    """Ports of one placement server."""

    api: int
    raft: int
    health: int
    metrics: int


@dataclass(frozen=True, slots=True)
class Placement:
    """One placement server of a group. `members` maps every member's id to its raft address, this one's included.

    A sidecar that is silent for `alive_seconds` is asked, and after `alive_timeout_seconds` more taken out.
    """

    id: str
    ports: PlacementPorts
    members: Mapping[str, str]
    listen: str = "127.0.0.1"
    log_level: str = "info"
    alive_seconds: int = 2
    alive_timeout_seconds: int = 3
    disseminate_seconds: int = 5
    namespace: str = "default"


@dataclass(frozen=True, slots=True)
class SchedulerPorts:
    """Ports of one scheduler server and of the etcd in it."""

    api: int
    etcd_client: int
    etcd_peer: int
    health: int
    metrics: int


@dataclass(frozen=True, slots=True)
class Scheduler:
    """A scheduler on its own. `address` is the host:port under which sidecars reach it. The etcd in it serves nobody
    else and listens on an IP address, as etcd insists.
    """

    ports: SchedulerPorts
    folder: Path
    address: str
    listen: str = "127.0.0.1"
    log_level: str = "info"
    etcd_listen: str = "127.0.0.1"
    id: str = "dapr-scheduler-server-0"
    namespace: str = "default"


def placement_command(placement: Placement, binary: str = "placement") -> list[str]:
    """How to start the placement server."""
    ports = placement.ports
    members = ",".join(f"{name}={address}" for name, address in placement.members.items())
    flags: dict[str, object] = {
        "id": placement.id,
        "initial-cluster": members,
        "port": ports.api,
        "listen-address": placement.listen,
        "healthz-port": ports.health,
        "healthz-listen-address": placement.listen,
        "metrics-port": ports.metrics,
        "metrics-listen-address": placement.listen,
        "keepalive-time": f"{placement.alive_seconds}s",
        "keepalive-timeout": f"{placement.alive_timeout_seconds}s",
        "disseminate-timeout": f"{placement.disseminate_seconds}s",
        "log-level": placement.log_level,
    }
    return [binary, *flag_list(flags)]


def scheduler_command(scheduler: Scheduler, binary: str = "scheduler") -> list[str]:
    """How to start the scheduler; its data lasts in `folder`."""
    ports = scheduler.ports
    flags: dict[str, object] = {
        "id": scheduler.id,
        "port": ports.api,
        "listen-address": scheduler.listen,
        "override-broadcast-host-port": scheduler.address,
        "healthz-port": ports.health,
        "healthz-listen-address": scheduler.listen,
        "metrics-port": ports.metrics,
        "metrics-listen-address": scheduler.listen,
        "etcd-client-port": ports.etcd_client,
        "etcd-client-listen-address": scheduler.etcd_listen,
        "etcd-initial-cluster": f"{scheduler.id}=http://{scheduler.etcd_listen}:{ports.etcd_peer}",
        "etcd-data-dir": scheduler.folder / "etcd",
        "identity-directory-write": scheduler.folder / "identity",
        "log-level": scheduler.log_level,
    }
    return [binary, *flag_list(flags)]


def server_environment(server: Placement | Scheduler) -> Mapping[str, str]:
    """Variables that both need besides their flags."""
    return {"NAMESPACE": server.namespace}
