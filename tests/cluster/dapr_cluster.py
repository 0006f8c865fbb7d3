"""Real sidecars with their placement and scheduler, and nodes beside them, as processes to be killed and frozen."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from relmachine.hosts import dapr_placement, dapr_sidecar
from relmachine.hosts.dapr_placement import Placement, PlacementPorts, Scheduler, SchedulerPorts
from relmachine.hosts.dapr_sidecar import Sidecar, SidecarPorts
from relmachine.hosts.dapr_tokens import DaprTokens
from tests.contract.rqlite_servers import free_ports
from tests.real_servers import need

PROGRAMS = ("daprd", "placement", "scheduler")
TOKENS = DaprTokens("the-token-of-sidecars", "the-token-of-nodes")
PORTS_MAX = 30
"""Enough for placement, scheduler and four sidecars."""


def programs() -> dict[str, str]:
    """Paths of the programs. Without one of them the test that asks is left out, or fails: see `real_servers.need`."""
    return {name: str(need(name)) for name in PROGRAMS}


class DaprCluster:
    """One placement, one scheduler unless told not to, and what is started of `machine` on them. Use as a context
    manager.
    """

    def __init__(self, folder: Path, machine: str, *, scheduled: bool = True) -> None:
        self.folder, self.machine, self._scheduled = folder, machine, scheduled
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._programs = programs()
        self._ports = free_ports(PORTS_MAX)
        port = self._port
        self.placement = Placement("placement-0", PlacementPorts(port(), port(), port(), port()), {})
        self.placement = replace(self.placement, members={self.placement.id: f"127.0.0.1:{self.placement.ports.raft}"})
        api = port()
        ports = SchedulerPorts(api, port(), port(), port(), port())
        self.scheduler = Scheduler(ports, folder / "scheduler", f"127.0.0.1:{api}")
        self.sidecars: dict[str, Sidecar] = {}

    def __enter__(self) -> DaprCluster:
        self.start_placement()
        if self._scheduled:
            command = dapr_placement.scheduler_command(self.scheduler, self._programs["scheduler"])
            self._spawn("scheduler", command, dapr_placement.server_environment(self.scheduler))
        return self

    def __exit__(self, *_: object) -> None:
        for name in self.processes:
            self.kill(name)

    def start_placement(self) -> None:
        """Start the placement server, or start it again."""
        command = dapr_placement.placement_command(self.placement, self._programs["placement"])
        self._spawn("placement", command, dapr_placement.server_environment(self.placement))

    def start_sidecar(self, name: str) -> Sidecar:
        """Start the sidecar of the node `name`, again with the ports it had before."""
        sidecar = self.sidecars.get(name) or self._new_sidecar(name)
        self.sidecars[name] = sidecar
        for path, text in dapr_sidecar.files(sidecar).items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        command = dapr_sidecar.command_line(sidecar, self._programs["daprd"])
        self._spawn(f"sidecar {name}", command, dapr_sidecar.environment(sidecar))
        return sidecar

    def start_node(self, name: str) -> None:
        """Start the node `name` beside its sidecar."""
        sidecar = self.sidecars[name]
        arguments = [self.machine, sidecar.grpc_address, sidecar.app_listen, str(self.ran(name))]
        self._spawn(f"node {name}", [sys.executable, "-m", "tests.cluster.dapr_node", *arguments], {})

    def ran(self, name: str) -> Path:
        """The file with the threads whose turns ran on the node."""
        return self.folder / f"{name}.ran"

    def threads_of(self, name: str) -> list[str]:
        """The threads whose turns ran on the node, in order."""
        return self.ran(name).read_text().splitlines() if self.ran(name).exists() else []

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process: `node a`, `sidecar a`, `placement`, `scheduler`."""
        self.processes[name].send_signal(number)

    def kill(self, name: str) -> None:
        """kill -9."""
        self.processes[name].kill()
        self.processes[name].wait()

    def end(self, name: str, seconds: float = 15.0) -> None:
        """End a process in order, frozen or not; kill it when it does not end."""
        process = self.processes[name]
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill(name)

    def log(self, name: str) -> str:
        """What a process wrote."""
        return (self.folder / f"{name}.log").read_text()

    def _new_sidecar(self, name: str) -> Sidecar:
        port = self._port
        return Sidecar(
            app_id=f"relm-{self.machine}",
            ports=SidecarPorts(port(), port(), port(), port(), port()),
            placement=[f"127.0.0.1:{self.placement.ports.api}"],
            scheduler=[self.scheduler.address],
            folder=self.folder / name,
            tokens=TOKENS,
        )

    def _port(self) -> int:
        return self._ports.pop()

    def _spawn(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env={**os.environ, **environment}
            )
