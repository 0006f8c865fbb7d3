"""What a cluster writes down about itself: `cluster.json`, for `relm status`, `relm down` and the next `relm up`."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from relmachine.cluster.kind import Kind
from relmachine.cluster.spec import ClusterSpec
from relmachine.errors import Code, RelmError
from relmachine.node.private import write_private

FILE_NAME = "cluster.json"


class Phase(StrEnum):
    """Where a cluster stands."""

    STARTING = "starting"
    READY = "ready"
    DEGRADED = "degraded"
    """It was ready, and some process is not ready now."""
    DRAINING = "draining"
    STOPPED = "stopped"
    FAILED = "failed"


class Stage(StrEnum):
    """Where one process stands."""

    WAITING = "waiting"
    """For what it needs."""
    JOINING = "joining"
    """Its node was added to a cluster that runs, and the process was not ready yet."""
    STARTING = "starting"
    READY = "ready"
    PAUSING = "pausing"
    """It ended, and is started again after a pause."""
    FAILING = "failing"
    """It ended too often; it is still started again, at the longest pause."""
    LEAVING = "leaving"
    """Its node was removed from a cluster that runs, and the process did not end yet."""
    STOPPING = "stopping"
    STOPPED = "stopped"


class ProcessState(BaseModel):
    """One process. `ready` are the addresses that answer when it is ready, `since` is in seconds of Unix time."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    name: str
    kind: str
    address: str
    ports: dict[str, int]
    ready: list[str]
    log: Path
    stage: Stage = Stage.WAITING
    pid: int | None = None
    restarts: int = 0
    last_exit: str | None = None
    since: float = Field(default_factory=time.time)


class Wish(BaseModel):
    """The `ClusterSpec` of the folder: what the next `relm up` starts when nothing else is asked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    nodes: int
    machine: str
    machine_path: Path
    first_port: int
    sync: Literal["default", "always"]
    kinds: list[Kind]
    grants_path: Path | None = None
    numbers: tuple[int, ...] = ()
    replicas: int = 0

    @staticmethod
    def of(spec: ClusterSpec) -> Wish:
        """The wish as it is written down."""
        kinds = [kind for kind in Kind if kind in spec.kinds]
        return Wish(
            nodes=spec.nodes,
            machine=spec.machine,
            machine_path=spec.machine_path,
            first_port=spec.first_port,
            sync=spec.sync,
            kinds=kinds,
            grants_path=spec.grants_path,
            numbers=spec.numbers,
            replicas=spec.replicas,
        )

    def spec(self, folder: Path) -> ClusterSpec:
        """The wish for the cluster in `folder`."""
        return ClusterSpec(
            nodes=self.nodes,
            data_dir=folder,
            machine=self.machine,
            machine_path=self.machine_path,
            first_port=self.first_port,
            sync=self.sync,
            kinds=frozenset(self.kinds),
            grants_path=self.grants_path,
            numbers=self.numbers,
            replicas=self.replicas,
        )


class Failure(BaseModel):
    """The error that ended a cluster."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: Code
    sentence: str
    witness: dict[str, object]

    @staticmethod
    def of(error: RelmError) -> Failure:
        """The error as it is written down."""
        return Failure(code=error.code, sentence=error.sentence, witness=dict(error.witness))

    def as_error(self) -> RelmError:
        """The error, for whoever waits in another process."""
        return RelmError(self.code, self.sentence, **self.witness)


class ClusterState(BaseModel):
    """The whole cluster."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    wish: Wish
    phase: Phase = Phase.STARTING
    supervisor_pid: int
    processes: list[ProcessState]
    error: Failure | None = None

    def save(self, folder: Path) -> None:
        """Write the file in one move, so that a reader never sees half of it."""
        write_private(folder / FILE_NAME, self.model_dump_json(indent=2), mode=0o644)

    @classmethod
    def load(cls, folder: Path) -> ClusterState:
        """The state in `folder`. Errors: `not_found`, with what to start."""
        path = folder / FILE_NAME
        try:
            return cls.model_validate_json(path.read_text())
        except (OSError, ValidationError) as error:
            sentence = f"no cluster has run in {folder}: start one with `relm up --data {folder}`, or name its folder"
            raise RelmError(Code.NOT_FOUND, sentence, path=str(path)) from error

    def process(self, name: str) -> ProcessState:
        """The process `name`. Errors: `not_found`."""
        for process in self.processes:
            if process.name == name:
                return process
        names = [process.name for process in self.processes]
        raise RelmError(Code.NOT_FOUND, f"the cluster has no process {name}", processes=names)
