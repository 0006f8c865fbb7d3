"""A node: its command, the settings that it finds in its environment, readiness, and what it needs. Pure."""

from __future__ import annotations

import sys

from relmachine.cluster.kind import Kind
from relmachine.cluster.processes_dapr import sidecar_of
from relmachine.cluster.site import Made, Site, number_of
from relmachine.cluster.spec import ProcessSpec

PYTHON = "python"
"""Name of the program that runs a node, where that is not this Python."""


def node(site: Site, name: str) -> Made:
    """A node. It is the last to start and the first to be stopped, so that it drains into parts that still run."""
    number, ports = number_of(name), site.ports[name]
    process = ProcessSpec(
        name=name,
        kind=Kind.NODE,
        command=[
            str(site.programs.get(PYTHON, sys.executable)),
            "-m",
            "relmachine",
            "dev",
            str(site.spec.machine_path),
        ],
        folder=site.spec.folder(name),
        ready=[site.http(name, "http", "/health")],
        needs=(
            *site.names(Kind.NATS, Kind.RQLITE, Kind.PLACEMENT),
            *(other for other in site.names(Kind.OPA, Kind.SIDECAR) if number_of(other) == number),
        ),
        address=site.http(name, "http"),
        ports=ports,
        environment=node_environment(site, name),
        restart=site.restart(Kind.NODE),
        stop_seconds=20.0,
    )
    return process, []


def node_environment(site: Site, name: str) -> dict[str, str]:
    """The settings of a node as RELM_ variables: where every part is. What the cluster does not have is unset."""
    number, ports = number_of(name), site.ports[name]
    stream, store = site.logins.core, site.logins.store
    lists = {
        "RELM_NATS_URLS": [
            stream.url("nats", site.host(one), site.ports[one]["client"]) for one in site.names(Kind.NATS)
        ],
        "RELM_STORE_URLS": [
            store.url("http", site.host(one), site.ports[one]["http"]) for one in site.names(Kind.RQLITE)
        ],
        "RELM_OPA_URL": [site.http(one, "http") for one in site.names(Kind.OPA) if number_of(one) == number],
    }
    settings = {variable: ",".join(values) for variable, values in lists.items() if values}
    if site.spec.count(Kind.SIDECAR):
        beside = sidecar_of(site, number)
        settings |= {
            "RELM_DAPR_ADDRESS": beside.grpc_address,
            "RELM_DAPR_LISTEN": beside.app_listen,
            "RELM_DAPR_API_TOKEN": site.logins.sidecar.password,
            "RELM_DAPR_APP_TOKEN": site.logins.callback.password,
        }
    if site.spec.grants_path is not None:
        settings["RELM_GRANTS"] = str(site.spec.grants_path)
    return {
        **settings,
        "RELM_DATA_DIR": str(site.spec.folder(name)),
        "RELM_HTTP_HOST": site.host(name),
        "RELM_HTTP_PORT": str(ports["http"]),
        "RELM_REPLICAS": str(max(1, site.spec.count(Kind.NATS))),
        "RELM_HTTP": "true",
        "RELM_CONTROL_LANE": "process",
    }
