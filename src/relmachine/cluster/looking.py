"""A look at a cluster from outside: what its supervisor wrote down, and what the processes answer and use right now."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from relmachine.cluster import probe
from relmachine.cluster.holding import supervisor_pid
from relmachine.cluster.kind import Kind
from relmachine.cluster.state import ClusterState, Phase, ProcessState, Stage
from relmachine.node.cpu import cpu_seconds

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


@dataclass(frozen=True, slots=True)
class ProcessLook:
    """One process now. `cpu_seconds` is its processor time so far, `memory_mib` its resident memory; None when gone,
    or where /proc does not tell.
    """

    process: str
    pid: int | None
    state: Stage
    ready: bool
    restarts: int
    last_exit: str | None
    cpu_seconds: float | None
    memory_mib: float | None
    address: str

    @property
    def is_node(self) -> bool:
        """Whether it is a node, not one of its servers."""
        return self.process.rpartition("-")[0] == Kind.NODE


@dataclass(frozen=True, slots=True)
class ClusterLook:
    """A cluster now. `supervisor_pid` is None when nobody keeps it running."""

    machine: str
    nodes: int
    phase: Phase
    supervisor_pid: int | None
    processes: Sequence[ProcessLook]

    @property
    def well(self) -> bool:
        """Whether every process is ready and kept so, but for those of nodes that are just joining or leaving."""
        passing = {Stage.JOINING, Stage.LEAVING}
        return self.supervisor_pid is not None and all(one.ready or one.state in passing for one in self.processes)

    def as_json(self) -> dict[str, object]:
        """The object that `relm status --json` prints."""
        return {**asdict(self), "well": self.well}


async def look(cluster: Path) -> ClusterLook:
    """The cluster in the folder. Errors: `not_found` when none has run there."""
    state, supervisor = ClusterState.load(cluster), supervisor_pid(cluster)
    phase = state.phase
    if supervisor is None and phase is not Phase.FAILED:
        phase = Phase.STOPPED
    processes = await asyncio.gather(
        *(_look(process, supervised=supervisor is not None) for process in state.processes)
    )
    return ClusterLook(state.wish.machine, state.wish.nodes, phase, supervisor, processes)


async def _look(process: ProcessState, *, supervised: bool) -> ProcessLook:
    pid = process.pid if supervised else None
    return ProcessLook(
        process=process.name,
        pid=pid,
        state=process.stage if supervised else Stage.STOPPED,
        ready=pid is not None and await probe.answers(process.ready),
        restarts=process.restarts,
        last_exit=process.last_exit,
        cpu_seconds=None if pid is None else _rounded(cpu_seconds([pid])),
        memory_mib=None if pid is None else _memory_mib(pid),
        address=process.address,
    )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 2)


def _memory_mib(pid: int) -> float | None:
    """Resident memory of a process. Source: proc(5), /proc/PID/statm, second field in pages."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return None
    return round(pages * _PAGE_BYTES / 1024**2, 1)
