"""The kinds of processes of a cluster."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """In the order in which they are listed."""

    NATS = "nats"
    RQLITE = "rqlite"
    PLACEMENT = "placement"
    SCHEDULER = "scheduler"
    OPA = "opa"
    SIDECAR = "daprd"
    NODE = "node"


OF_A_NODE = frozenset({Kind.OPA, Kind.SIDECAR, Kind.NODE})
"""Those that every node has one of, under its number: they come and go with it."""
