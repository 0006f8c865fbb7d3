"""What a cluster is made of: the wish (`ClusterSpec`) and one process of its plan (`ProcessSpec`). Values only."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from relmachine.cluster.kind import OF_A_NODE, Kind
from relmachine.errors import Code, RelmError

NODES_MAX = 9
"""Most nodes of one cluster: each kind of process has ten rows of ports."""


REPLICATED_FROM = 3
"""Nodes from which on a new cluster has three of each replicated server."""


@dataclass(frozen=True, slots=True)
class ClusterSpec:
    """The wish: how many nodes of which machine, in which folder, from which port on.

    `kinds` leaves parts out, for a cluster of servers without nodes. `sync` states what an acknowledged step survives:
    "default" the crash of any process, "always" a power failure of every server too.
    Errors: `limit_exceeded` for a number of nodes, or one of their numbers, that has no ports.
    """

    nodes: int
    data_dir: Path
    machine: str
    """Name of the machine: subjects and permissions contain it."""
    machine_path: Path
    first_port: int
    sync: Literal["default", "always"] = "default"
    kinds: frozenset[Kind] = frozenset(Kind)
    grants_path: Path | None = None
    """File of grants instead of the ones shipped."""
    numbers: tuple[int, ...] = ()
    """Of the nodes, rising; those from 1 on unless given."""
    replicas: int = 0
    """Members of each replicated server: three bear the loss of one, one bears none. They know each other by their
    data, so a folder keeps the number that it began with; unless given it is three from three nodes on."""

    def __post_init__(self) -> None:
        if not 1 <= self.nodes <= NODES_MAX:
            raise RelmError(Code.LIMIT_EXCEEDED, f"ask for 1 to {NODES_MAX} nodes", nodes=self.nodes)
        numbers = self.numbers or tuple(range(1, self.nodes + 1))
        known = set(numbers) & set(range(1, NODES_MAX + 1))
        if not len(known) == len(numbers) == self.nodes:
            sentence = f"give each of {self.nodes} nodes a number of its own from 1 to {NODES_MAX}"
            raise RelmError(Code.LIMIT_EXCEEDED, sentence, numbers=list(numbers))
        object.__setattr__(self, "numbers", tuple(sorted(numbers)))
        object.__setattr__(self, "replicas", self.replicas or (3 if self.nodes >= REPLICATED_FROM else 1))

    def count(self, kind: Kind) -> int:
        """How many processes of `kind` there are."""
        if kind not in self.kinds:
            return 0
        if kind in {Kind.NATS, Kind.RQLITE, Kind.PLACEMENT}:
            return self.replicas
        return self.nodes if kind in OF_A_NODE else 1

    def names(self, kind: Kind) -> tuple[str, ...]:
        """Names of all processes of `kind`."""
        count = self.count(kind)
        numbers = self.numbers if count and kind in OF_A_NODE else range(1, count + 1)
        return tuple(f"{kind}-{number}" for number in numbers)

    def folder(self, name: str) -> Path:
        """Data folder of the process `name`."""
        return self.data_dir / name


@dataclass(frozen=True, slots=True)
class Restart:
    """When a process that ended is started again, and when that is given up. Seconds and counts as the names say.

    A process that stays up for `steady_seconds` has its pauses start anew. `failures_max` failures within
    `window_seconds` are too many: then the cluster stops, or is degraded and goes on trying with the longest pause.
    """

    back_off_seconds: float = 0.1
    back_off_seconds_max: float = 5.0
    steady_seconds: float = 20.0
    failures_max: int = 6
    window_seconds: float = 60.0
    when_exhausted: Literal["stop", "degrade"] = "stop"


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """One process. `ready` are addresses that must all answer (`cluster.probe`), `needs` names of processes that must
    be ready before its first start and that are stopped only after it.
    """

    name: str
    kind: str
    command: Sequence[str]
    folder: Path
    ready: Sequence[str] = ()
    needs: Sequence[str] = ()
    address: str = ""
    ports: Mapping[str, int] = field(default_factory=dict[str, int])
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    restart: Restart = Restart()
    start_seconds_max: float = 60.0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A file to be written before anything starts. Those with secrets are for their owner's eyes."""

    path: Path
    text: str
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """Everything that is to be written and run, in an order in which every process comes after what it needs."""

    processes: Sequence[ProcessSpec]
    files: Sequence[ConfigFile] = ()

    def names(self) -> tuple[str, ...]:
        """Names of all processes, in order."""
        return tuple(process.name for process in self.processes)

    def needed_by(self, name: str) -> tuple[str, ...]:
        """Names of the processes that need `name`."""
        return tuple(process.name for process in self.processes if name in process.needs)
