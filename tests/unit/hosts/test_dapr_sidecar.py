"""Goal: what sidecars, placement and scheduler are started with is whole. Method: the values for three nodes on one
machine, read back as flags and YAML."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import yaml

from relmachine.hosts import dapr_placement, dapr_sidecar
from relmachine.hosts.dapr_placement import Placement, PlacementPorts, Scheduler, SchedulerPorts
from relmachine.hosts.dapr_sidecar import Sidecar, SidecarPorts


def flags(command: list[str]) -> dict[str, str]:
    """The flags of a command that have a value."""
    return dict(argument.removeprefix("--").split("=", 1) for argument in command[1:] if "=" in argument)


def sidecar(ports: SidecarPorts, folder: Path, *, host_ip: str | None = "127.0.0.1") -> Sidecar:
    placement = [f"127.0.0.1:{port}" for port in (21_001, 21_002, 21_003)]
    return Sidecar("relm-permit", ports, placement, ["127.0.0.1:21004"], folder, host_ip=host_ip)


def test_no_port_is_left_to_a_default() -> None:
    number = count(20_000)
    port = number.__next__
    folder = Path("/data/n1")
    commands = [dapr_sidecar.command_line(sidecar(SidecarPorts(*(port() for _ in range(5))), folder)) for _ in range(3)]
    members = {f"placement-{index}": f"127.0.0.1:{port()}" for index in range(3)}
    for name, raft in members.items():
        ports = PlacementPorts(port(), int(raft.split(":")[1]), port(), port())
        commands.append(dapr_placement.placement_command(Placement(name, ports, members)))
    scheduler = Scheduler(SchedulerPorts(*(port() for _ in range(5))), folder, "127.0.0.1:21004")
    commands.append(dapr_placement.scheduler_command(scheduler))
    given = [
        int(value)
        for command in commands
        for name, value in flags(command).items()
        if name.endswith("port") and value.isdigit()
    ]
    assert len(given) == 3 * 5 + 3 * 3 + 4
    assert len(set(given)) == len(given)
    listens = [value for command in commands for name, value in flags(command).items() if "listen-address" in name]
    assert listens
    assert set(listens) == {"127.0.0.1"}
    assert set(flags(commands[3])["initial-cluster"].split(",")) == {f"{a}={b}" for a, b in members.items()}
    assert flags(commands[-1])["etcd-initial-cluster"].startswith("dapr-scheduler-server-0=http://127.0.0.1:")


def test_a_sidecar_asks_its_node_whether_it_is_well() -> None:
    command = dapr_sidecar.command_line(sidecar(SidecarPorts(1, 2, 3, 4, 5), Path("/data/n1")), "/bin/daprd")
    assert command[0] == "/bin/daprd"
    assert "--enable-app-health-check" in command
    given = flags(command)
    assert given["app-protocol"] == "http"
    assert int(given["app-health-probe-timeout"]) < int(given["app-health-probe-interval"]) * 1000
    assert given["placement-host-address"] == "127.0.0.1:21001,127.0.0.1:21002,127.0.0.1:21003"


def test_the_files_are_yaml_that_hosts_actors_whatever_the_folder_is_called() -> None:
    folder = Path('/data/a "strange" folder: #1')
    files = dapr_sidecar.files(sidecar(SidecarPorts(1, 2, 3, 4, 5), folder))
    component, configuration = (yaml.safe_load(text) for text in files.values())
    assert component["spec"]["metadata"] == [{"name": "actorStateStore", "value": "true"}]
    assert configuration["spec"]["nameResolution"]["configuration"]["connectionString"] == str(folder / "names.db")
    assert [path.relative_to(folder) for path in files] == [Path("resources/actors.yaml"), Path("config.yaml")]


def test_a_sidecar_in_a_container_finds_its_own_address() -> None:
    ports = SidecarPorts(1, 2, 3, 4, 5)
    assert "DAPR_HOST_IP" not in dapr_sidecar.environment(sidecar(ports, Path("/data"), host_ip=None))
    assert dapr_sidecar.environment(sidecar(ports, Path("/data")))["DAPR_HOST_IP"] == "127.0.0.1"
