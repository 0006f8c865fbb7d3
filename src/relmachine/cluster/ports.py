"""Which port is whose. All lie below 32768, where systems begin to hand out ports for outgoing connections: a port
that is free while its server restarts stays free.

A cluster has a block of ports. Every kind of process has its own stretch of it and every number its own row, so that a
port follows from the first port, the name and the role, and does not move when another role is added, or when others
come and go: replicated servers remember each other's addresses in their data.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping

from relmachine.cluster.kind import Kind
from relmachine.cluster.site import number_of
from relmachine.cluster.spec import ClusterSpec
from relmachine.errors import Code, RelmError

FIRST_PORT = 20_000
LAST_PORT = 32_767
BLOCK_PORTS = 1_000

_ROW = 10
_STRETCH = 100

_ROLES: Mapping[Kind, tuple[str, ...]] = {
    Kind.NATS: ("client", "monitor", "route"),
    Kind.RQLITE: ("http", "raft"),
    Kind.PLACEMENT: ("api", "raft", "health", "metrics"),
    Kind.SCHEDULER: ("api", "etcd_client", "etcd_peer", "health", "metrics"),
    Kind.OPA: ("http",),
    Kind.SIDECAR: ("http", "grpc", "internal", "metrics", "app"),
    Kind.NODE: ("http",),
}
"""What each kind listens for; at `app` the node listens for its sidecar. A new role goes to the end of its row."""

_HOST = "127.0.0.1"


def ports(spec: ClusterSpec) -> dict[str, dict[str, int]]:
    """Port by process name and role. Errors: `limit_exceeded` when the block would end above `LAST_PORT`."""
    if not 1024 <= spec.first_port <= LAST_PORT - BLOCK_PORTS + 1:
        raise RelmError(
            Code.LIMIT_EXCEEDED,
            f"give a first port from 1024 to {LAST_PORT - BLOCK_PORTS + 1}: a cluster takes {BLOCK_PORTS} ports from "
            f"there on, and none above {LAST_PORT}",
            first_port=spec.first_port,
        )
    return {
        name: {
            role: spec.first_port + stretch * _STRETCH + (number_of(name) - 1) * _ROW + place
            for place, role in enumerate(roles)
        }
        for stretch, (kind, roles) in enumerate(_ROLES.items())
        for name in spec.names(kind)
    }


def taken(allocated: Mapping[str, Mapping[str, int]]) -> list[tuple[str, str, int]]:
    """Process, role and number of every port that somebody listens on right now."""
    return [
        (name, role, port) for name, roles in allocated.items() for role, port in roles.items() if not _is_free(port)
    ]


def check_free(allocated: Mapping[str, Mapping[str, int]]) -> None:
    """Errors: `unreachable`, with every port that is taken and the process that wants it."""
    found = taken(allocated)
    if found:
        raise RelmError(
            Code.UNREACHABLE,
            "end what listens on these ports, or give another --first-port",
            taken={str(port): f"{name} {role}" for name, role, port in found},
        )


def free_block(starts: Iterable[int] = range(FIRST_PORT, LAST_PORT - BLOCK_PORTS + 2, BLOCK_PORTS)) -> int:
    """The first block in which nobody listens on any port that a cluster may use. Errors: `unreachable`."""
    offsets = [
        stretch * _STRETCH + row * _ROW + place
        for stretch, roles in enumerate(_ROLES.values())
        for row in range(_STRETCH // _ROW)
        for place in range(len(roles))
    ]
    for start in starts:
        if all(_is_free(start + offset) for offset in offsets):
            return start
    raise RelmError(
        Code.UNREACHABLE, f"free {BLOCK_PORTS} ports in a row below {LAST_PORT + 1}, or give a --first-port"
    )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # Connections of the last run that are still dying do not stop a server from listening.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            return False
    return True
