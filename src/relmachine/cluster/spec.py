"""What a cluster is made of: the wish (`ClusterSpec`) and one process of its plan (`ProcessSpec`). Values only."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from relmachine.cluster.kind import Kind
from relmachine.errors import Code, RelmError

NODES_MAX = 9
"""Most nodes of one cluster: each kind of process has ten rows of ports."""


@dataclass(frozen=True, slots=True)
class ClusterSpec:
    """The wish: how many nodes of which machine, in which folder, from which port on.

    `kinds` leaves parts out, for a cluster of servers without nodes. `sync` states what an acknowledged step survives:
    "default" the crash of any process, "always" a power failure of every server too.
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

    def __post_init__(self) -> None:
        if not 1 <= self.nodes <= NODES_MAX:
            raise RelmError(Code.LIMIT_EXCEEDED, f"ask for 1 to {NODES_MAX} nodes", nodes=self.nodes)

    @property
    def replicas(self) -> int:
        """Members of each replicated server: three bear the loss of one, fewer bear none."""
        return 3 if self.nodes >= 3 else 1

    def count(self, kind: Kind) -> int:
        """How many processes of `kind` there are."""
        if kind not in self.kinds:
            return 0
        if kind in {Kind.NATS, Kind.RQLITE, Kind.PLACEMENT}:
            return self.replicas
        return 1 if kind is Kind.SCHEDULER else self.nodes

    def names(self, kind: Kind) -> tuple[str, ...]:
        """Names of all processes of `kind`."""
        return tuple(f"{kind}-{number}" for number in range(1, self.count(kind) + 1))

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
