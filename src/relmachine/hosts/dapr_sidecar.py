"""What a node's sidecar is started with: flags, environment and files, as values. Nothing here starts anything.

Whoever runs the cluster (processes on one machine, containers) takes the same values from here, so that both run the
same thing. Every port is given: the defaults of two sidecars, and of a scheduler's store, collide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from relmachine.hosts.dapr_tokens import NO_TOKENS, DaprTokens

_STATE_STORE = """\
apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: actors
spec:
  type: state.in-memory
  version: v1
  metadata:
    - name: actorStateStore
      value: "true"
"""
"""A sidecar hosts actors only with a state store; ours keep no state, and of workflows
nothing rests on it, so what it holds may be lost at any time."""

_CONFIGURATION = """\
apiVersion: dapr.io/v1alpha1
kind: Configuration
metadata:
  name: relmachine
spec:
  nameResolution:
    component: sqlite
    version: v1
    configuration:
      connectionString: {names}
  metric:
    enabled: true
    http:
      increasedCardinality: false
  tracing:
    samplingRate: "0"
  workflow:
    stateRetentionPolicy:
      anyTerminal: 10s
"""
"""Actors are found through placement and names are never resolved; multicast, the default resolver, is kept out.
Metrics do not tell threads apart: by default a sidecar keeps numbers for each path it ever called, for ever, and so it
would keep every workflow that has ended."""


@dataclass(frozen=True, slots=True)
class SidecarPorts:
    """Ports of one node's sidecar; `app` is the node's own, where the sidecar finds it. Keep all below the ephemeral
    range, so that no outgoing connection takes one while its server restarts.
    """

    app: int
    http: int
    grpc: int
    internal: int
    metrics: int


@dataclass(frozen=True, slots=True)
class Sidecar:
    """One node's sidecar. `app_id` is the same for all nodes of a machine; addresses are host:port.

    `listen` is where the node reaches its API, `internal_listen` where other sidecars reach it, under the address
    `host_ip` (None: that of the machine's first interface). `app_address` is where the node listens. Without `tokens`
    anybody on the machine may use its API, and call the node in its name.
    """

    app_id: str
    ports: SidecarPorts
    placement: Sequence[str]
    scheduler: Sequence[str]
    folder: Path
    listen: str = "127.0.0.1"
    internal_listen: str = "127.0.0.1"
    host_ip: str | None = "127.0.0.1"
    app_address: str = "127.0.0.1"
    tokens: DaprTokens = NO_TOKENS
    log_level: str = "info"
    health_seconds: int = 2
    health_timeout_ms: int = 1900
    health_failures: int = 2
    shutdown_seconds: int = 5
    namespace: str = "default"

    @property
    def grpc_address(self) -> str:
        """Where the node calls it."""
        return f"{self.listen}:{self.ports.grpc}"

    @property
    def app_listen(self) -> str:
        """Where the node listens for it."""
        return f"{self.app_address}:{self.ports.app}"


def command_line(sidecar: Sidecar, binary: str = "daprd") -> list[str]:
    """How to start the sidecar. Its files (`files`) must be there."""
    ports = sidecar.ports
    flags: dict[str, object] = {
        "app-id": sidecar.app_id,
        "app-port": ports.app,
        "app-protocol": "http",
        "app-channel-address": sidecar.app_address,
        "app-health-probe-interval": sidecar.health_seconds,
        "app-health-probe-timeout": sidecar.health_timeout_ms,
        "app-health-threshold": sidecar.health_failures,
        "dapr-http-port": ports.http,
        "dapr-grpc-port": ports.grpc,
        "dapr-listen-addresses": sidecar.listen,
        "dapr-internal-grpc-port": ports.internal,
        "dapr-internal-grpc-listen-address": sidecar.internal_listen,
        "dapr-graceful-shutdown-seconds": sidecar.shutdown_seconds,
        "metrics-port": ports.metrics,
        "metrics-listen-address": sidecar.listen,
        "placement-host-address": ",".join(sidecar.placement),
        "scheduler-host-address": ",".join(sidecar.scheduler),
        "resources-path": sidecar.folder / "resources",
        "config": sidecar.folder / "config.yaml",
        "log-level": sidecar.log_level,
    }
    return [binary, "--enable-app-health-check", *flag_list(flags)]


def environment(sidecar: Sidecar) -> Mapping[str, str]:
    """Variables that it needs besides its flags. Those with tokens are secret."""
    address = {} if sidecar.host_ip is None else {"DAPR_HOST_IP": sidecar.host_ip}
    tokens = {"DAPR_API_TOKEN": sidecar.tokens.api, "APP_API_TOKEN": sidecar.tokens.app}
    given = {name: token for name, token in tokens.items() if token is not None}
    return {"NAMESPACE": sidecar.namespace, **address, **given}


def files(sidecar: Sidecar) -> Mapping[Path, str]:
    """What must be in its folder."""
    names = str(sidecar.folder / "names.db").replace("\\", "\\\\").replace('"', '\\"')
    return {
        sidecar.folder / "resources" / "actors.yaml": _STATE_STORE,
        sidecar.folder / "config.yaml": _CONFIGURATION.format(names=f'"{names}"'),
    }


def flag_list(flags: Mapping[str, object]) -> list[str]:
    """Flags as arguments: `--name=value`."""
    return [f"--{name}={value}" for name, value in flags.items()]
