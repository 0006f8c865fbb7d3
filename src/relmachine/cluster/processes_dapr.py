"""The parts of Dapr: placement servers, the scheduler, one sidecar for each node. Pure.

What they are started with comes from `hosts.dapr_sidecar` and `hosts.dapr_placement`; here are the names, ports and
readiness in a cluster.
"""

from __future__ import annotations

from relmachine.cluster.kind import Kind
from relmachine.cluster.site import Made, Site, number_of
from relmachine.cluster.spec import ConfigFile, ProcessSpec
from relmachine.hosts.dapr_placement import (
    Placement,
    PlacementPorts,
    Scheduler,
    SchedulerPorts,
    placement_command,
    scheduler_command,
    server_environment,
)
from relmachine.hosts.dapr_sidecar import Sidecar, SidecarPorts, command_line, environment, files
from relmachine.hosts.dapr_tokens import DaprTokens


def placement(site: Site, name: str) -> Made:
    """A placement server. Several agree by Raft; while none is there, actor calls wait."""
    ports = site.ports[name]
    server = Placement(
        id=name,
        ports=PlacementPorts(ports["api"], ports["raft"], ports["health"], ports["metrics"]),
        members={other: site.address(other, "raft") for other in site.names(Kind.PLACEMENT)},
        listen=site.host(name),
    )
    process = ProcessSpec(
        name=name,
        kind=Kind.PLACEMENT,
        command=placement_command(server, str(site.programs["placement"])),
        folder=site.spec.folder(name),
        ready=[site.http(name, "health", "/healthz")],
        address=site.address(name, "api"),
        ports=ports,
        environment=server_environment(server),
        restart=site.restart(Kind.PLACEMENT),
    )
    return process, []


def scheduler(site: Site, name: str) -> Made:
    """The scheduler, one, with its etcd inside. Durable runs go through it while it is there; nothing
    waits for it."""
    ports, folder = site.ports[name], site.spec.folder(name)
    server = Scheduler(
        ports=SchedulerPorts(ports["api"], ports["etcd_client"], ports["etcd_peer"], ports["health"], ports["metrics"]),
        folder=folder,
        address=site.address(name, "api"),
        listen=site.host(name),
    )
    process = ProcessSpec(
        name=name,
        kind=Kind.SCHEDULER,
        command=scheduler_command(server, str(site.programs["scheduler"])),
        folder=folder,
        ready=[site.http(name, "health", "/healthz")],
        address=site.address(name, "api"),
        ports=ports,
        environment=server_environment(server),
        restart=site.restart(Kind.SCHEDULER),
    )
    return process, []


def sidecar_of(site: Site, number: int) -> Sidecar:
    """The sidecar of the node with this number."""
    name = f"{Kind.SIDECAR}-{number}"
    ports, host = site.ports[name], site.host(name)
    return Sidecar(
        app_id=f"relm-{site.spec.machine}",
        ports=SidecarPorts(ports["app"], ports["http"], ports["grpc"], ports["internal"], ports["metrics"]),
        placement=[site.address(other, "api") for other in site.names(Kind.PLACEMENT)],
        scheduler=[site.address(other, "api") for other in site.names(Kind.SCHEDULER)],
        folder=site.spec.folder(name),
        listen=host,
        internal_listen=host,
        host_ip=host,
        app_address=site.host(f"{Kind.NODE}-{number}"),
        tokens=DaprTokens(site.logins.sidecar.password, site.logins.callback.password),
    )


def sidecar(site: Site, name: str) -> Made:
    """The sidecar of one node, ready when it can be asked: it waits for its node, so its node cannot wait for more."""
    described = sidecar_of(site, number_of(name))
    process = ProcessSpec(
        name=name,
        kind=Kind.SIDECAR,
        command=command_line(described, str(site.programs["daprd"])),
        folder=described.folder,
        ready=[site.http(name, "http", "/v1.0/healthz/outbound")],
        needs=site.names(Kind.PLACEMENT),
        address=described.grpc_address,
        ports=site.ports[name],
        environment=environment(described),
        restart=site.restart(Kind.SIDECAR),
    )
    return process, [ConfigFile(path, text) for path, text in files(described).items()]
