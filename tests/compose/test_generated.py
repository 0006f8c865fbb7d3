"""Goal: the Compose file is the plan of `relm up`, and gives its containers no more than they need. Method: generate it
again and compare; hold every service against the plan for processes; write the files that it needs and read them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from relmachine.cli.app import app
from relmachine.cluster.compose import BASE_IMAGE, CONFIGURE, compose_text
from relmachine.cluster.containers import CLUSTER, DATA, configure, container_plan, container_spec, volumes
from relmachine.cluster.kind import Kind
from relmachine.cluster.logins import Logins
from relmachine.cluster.plan import plan, programs
from relmachine.cluster.spec import ClusterSpec
from relmachine.gates.grants import parse_grants, shipped_policy
from relmachine.node.settings import Settings
from tests import permit
from tests.compose.containers import ROOT

LOGINS = Logins()
SPEC = container_spec("permit", permit.YAML.name, nodes=3)
PLAN = container_plan(SPEC, LOGINS)
STORED = (ROOT / "docker-compose.yml").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(STORED)["services"]
_NAME = re.compile(f"(?:{'|'.join(Kind)})-\\d")
PASSWORDS = set(LOGINS.passwords)
SECRETS = {
    Kind.NODE: {"RELM_NATS_URLS", "RELM_STORE_URLS", "RELM_DAPR_API_TOKEN", "RELM_DAPR_APP_TOKEN"},
    Kind.SIDECAR: {"DAPR_API_TOKEN", "APP_API_TOKEN"},
}
"""Variables that hold a login, by kind of process."""


def test_the_stored_file_is_what_the_plan_gives() -> None:
    assert compose_text(SPEC, "./examples/permit") == STORED, (
        "run: .venv/bin/relm compose print examples/permit/permit.yaml > docker-compose.yml"
    )


def test_containers_run_the_commands_of_processes() -> None:
    """Hosts apart, every command, setting and question is that of `relm up`."""
    spec = ClusterSpec(3, DATA, "permit", SPEC.machine_path, SPEC.first_port)
    local = plan(spec, {name: Path("/usr/local/bin") / name for name in programs(spec)}, LOGINS)
    assert tuple(SERVICES) == (CONFIGURE, *local.names())
    for process in local.processes:
        service = SERVICES[process.name]
        assert _same_host(service["command"][1:]) == _same_host(process.command[1:])
        assert _same_host(service["healthcheck"]["test"]) == _same_host(["CMD", "ready", *process.ready])
        told, meant = dict(service.get("environment", {})), dict(process.environment)
        for variable in SECRETS.get(process.kind, ()):
            del meant[variable]
        if process.kind in SECRETS:
            assert told.pop("RELM_SECRETS_DIR") == f"/data/{process.name}/secrets"
        assert list(told) == list(meant)
        assert _same_host(told.values()) == _same_host(meant.values())


def _same_host(texts: Iterable[str]) -> list[str]:
    return [_NAME.sub("127.0.0.1", text) for text in texts]


def test_every_address_has_the_host_that_listens_on_its_port() -> None:
    """A process listens on its own ports, a node also on one that its sidecar is told of; etcd talks to itself only."""
    listens = {
        str(port): {"app": process.name.replace("daprd", "node"), "etcd_peer": "127.0.0.1"}.get(role, process.name)
        for process in PLAN.processes
        for role, port in process.ports.items()
    }
    text = "\n".join([STORED, *(file.text for file in PLAN.files)])
    found = re.findall(rf"({_NAME.pattern}|\b127\.0\.0\.1|\b0\.0\.0\.0):(\d+)", text)
    assert len(found) > 100
    assert [(host, port) for host, port in found if listens[port] != host] == []


def _is_node(name: str) -> bool:
    return name.startswith(f"{Kind.NODE}-")


def test_every_container_waits_for_what_it_needs_and_says_when_it_is_ready() -> None:
    for process in PLAN.processes:
        service = SERVICES[process.name]
        waits = {name: how["condition"] for name, how in service["depends_on"].items()}
        assert waits.pop(CONFIGURE) == "service_completed_successfully"
        assert waits == dict.fromkeys(process.needs, "service_healthy")
        assert all(question.startswith(f"http://{process.name}:") for question in service["healthcheck"]["test"][2:])
        assert len(service["healthcheck"]["test"]) > 2
        assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_may_do_no_more_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["user"] == "10001:10001"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["profiles"] == ["core"]
    assert {"privileged", "cap_add", "pid", "ipc", "devices"}.isdisjoint(service)
    ports = service.get("ports", [])
    assert [port.split(":")[0] for port in ports] == (["127.0.0.1"] if _is_node(name) else [])
    own = [volume for volume in service["volumes"] if isinstance(volume, str)]
    assert name == CONFIGURE or own == [f"{name}:/data/{name}"]
    assert all(volume["read_only"] for volume in service["volumes"] if isinstance(volume, dict))


def test_images_are_pinned_and_built_once_from_a_base_that_is_given() -> None:
    built = [service for service in SERVICES.values() if "build" in service]
    assert {service["image"] for service in built} == {service["image"] for service in SERVICES.values()}
    assert len(built) == len({service["image"] for service in built})
    assert all(re.fullmatch(r"relmachine/[a-z-]+:\d+\.\d+\.\d+", service["image"]) for service in built)
    assert {service["build"]["args"]["BASE_IMAGE"] for service in built} == {f"${{BASE_IMAGE:-{BASE_IMAGE}}}"}
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert re.fullmatch(r"[a-z]+:[\w.-]+@sha256:[0-9a-f]{64}", BASE_IMAGE)
    assert "ARG BASE_IMAGE\n" in dockerfile
    assert set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)) == {"${BASE_IMAGE}"}
    stages = set(re.findall(r"^FROM \S+ AS (\w+)", dockerfile, re.MULTILINE))
    assert {service["build"]["target"] for service in built} == stages


def test_images_are_named_in_one_place_of_the_source() -> None:
    names = re.compile(r"\b(?:python|debian|alpine|ubuntu):[0-9a-z]")
    sources = [*(ROOT / "src").rglob("*.py"), ROOT / "Dockerfile", *(ROOT / "deploy").rglob("*.py")]
    found = [path.name for path in sources for _ in names.findall(path.read_text())]
    assert found == ["compose.py"]


def test_grants_of_ones_own_reach_the_policy_server_and_the_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "machine"
    folder.mkdir()
    shutil.copy(permit.YAML, folder)
    grants = {"grants": [{**json.loads(shipped_policy("grants.json"))["grants"][0], "principals": ["ann"]}]}
    (folder / "grants.json").write_text(json.dumps(grants))
    monkeypatch.chdir(tmp_path)
    arguments = ["compose", "print", f"machine/{permit.YAML.name}", "--grants"]
    printed = CliRunner().invoke(app, [*arguments, "machine/grants.json"])
    assert printed.exit_code == 0, printed.output
    services = yaml.safe_load(printed.stdout)["services"]
    assert services["node-2"]["environment"]["RELM_GRANTS"] == "/machine/grants.json"
    assert services[CONFIGURE]["command"][-2:] == ["--grants", "/machine/grants.json"]
    assert "RELM_GRANTS" not in STORED
    (tmp_path / CLUSTER).mkdir()
    spec = replace(container_spec("permit", permit.YAML.name, 3, grants="grants.json"), data_dir=tmp_path)
    configure(spec, parse_grants((folder / "grants.json").read_text()))
    held = json.loads((tmp_path / "opa-2" / "bundle" / "data.json").read_text())
    assert held["grants"][0]["principals"] == ["ann"]
    (tmp_path / "grants.json").write_text(json.dumps(grants))
    outside = CliRunner().invoke(app, [*arguments, "grants.json"])
    assert (outside.exit_code, "machine's folder" in outside.stderr) == (2, True)
    (folder / "grants.json").write_text("{}")
    invalid = CliRunner().invoke(app, [*arguments, "machine/grants.json"])
    assert (invalid.exit_code, "grants_invalid" in invalid.stderr) == (1, True)


def test_logins_are_nowhere_but_in_files_for_their_owner() -> None:
    assert not any(password in compose_text(SPEC, ".") for password in PASSWORDS)
    for process in PLAN.processes:
        shown = json.dumps([*process.command, *process.environment.values()])
        assert not any(password in shown for password in PASSWORDS), process.name
    with_logins = {file.path for file in PLAN.files if any(password in file.text for password in PASSWORDS)}
    own = {"nats-{}/nats.conf", "rqlite-{}/users.json"}
    own |= {f"{kind}-{{}}/secrets/{variable}" for kind, variables in SECRETS.items() for variable in variables}
    assert with_logins == {DATA / path.format(number) for path in own for number in (1, 2, 3)}
    assert all(file.mode == 0o600 for file in PLAN.files if file.path in with_logins)


def test_every_file_lies_in_a_volume_that_its_image_has() -> None:
    assert set(yaml.safe_load(STORED)["volumes"]) <= set(volumes())
    for file in PLAN.files:
        assert file.path.parts[2] in SERVICES, file.path


def test_configuring_writes_every_file_and_keeps_the_logins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also a second time, as at every start; and a node finds its login in its file."""
    (tmp_path / CLUSTER).mkdir()
    spec = ClusterSpec(3, tmp_path, "permit", permit.YAML, SPEC.first_port)
    first = configure(spec)
    logins = Logins.load(tmp_path / CLUSTER)
    assert configure(spec) == first
    assert Logins.load(tmp_path / CLUSTER) == logins
    assert all(file.path.read_text() == file.text for file in first.files)
    node = next(process for process in first.processes if process.name == "node-2")
    for name, value in node.environment.items():
        monkeypatch.setenv(name, value)
    found = Settings()
    assert found.store_urls == tuple(
        logins.store.url("http", f"rqlite-{n}", SPEC.first_port + 100 + 10 * (n - 1)) for n in (1, 2, 3)
    )
    assert found.dapr_api_token is not None and found.dapr_app_token is not None
    tokens = {found.dapr_api_token.get_secret_value(), found.dapr_app_token.get_secret_value()}
    assert tokens == {logins.sidecar.password, logins.callback.password}
    assert found.nats_urls == tuple(
        logins.core.url("nats", f"nats-{n}", SPEC.first_port + 10 * (n - 1)) for n in (1, 2, 3)
    )
    assert found.dapr_address == f"daprd-2:{SPEC.first_port + 511}"


def test_a_sidecar_is_started_with_its_tokens(tmp_path: Path) -> None:
    """It knows variables only, and its container's have none: what its image begins with reads the files."""
    (tmp_path / CLUSTER).mkdir()
    made = configure(ClusterSpec(3, tmp_path, "permit", permit.YAML, SPEC.first_port))
    logins = Logins.load(tmp_path / CLUSTER)
    server = (ROOT / "Dockerfile").read_text().split("\nFROM ")[1]
    assert "COPY ready with-secrets " in server and 'ENTRYPOINT ["with-secrets"]' in server
    start = ROOT / "deploy" / "compose" / "with-secrets"
    for process in made.processes:
        if process.kind == Kind.NODE:
            continue
        told = subprocess.run(
            [start, "env", "--null"],
            env={"PATH": os.environ["PATH"], **process.environment},
            capture_output=True,
            check=True,
        ).stdout.decode()
        variables = dict(line.split("=", 1) for line in told.split("\0") if line)
        tokens = {"DAPR_API_TOKEN": logins.sidecar.password, "APP_API_TOKEN": logins.callback.password}
        found = {name: variables[name] for name in tokens if name in variables}
        assert found == (tokens if process.kind == Kind.SIDECAR else {}), process.name
