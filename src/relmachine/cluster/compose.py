"""The Compose file of a cluster: the plan for containers, as text. Pure.

Nothing in it is secret. A first container, `configure`, makes logins and writes every process's files into its volume
with the same plan; it has no network, and ends before any other container starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from relmachine.cluster.containers import CLUSTER, MACHINE, container_plan
from relmachine.cluster.kind import Kind
from relmachine.cluster.logins import Logins
from relmachine.cluster.spec import ClusterSpec, ProcessSpec
from relmachine.servers.manifest import manifest
from relmachine.version import __version__

BASE_IMAGE = "python:3.11.13-slim-bookworm@sha256:86adf8dbadc3d6e82ee5dd2c74bec2e1c2467cdad47886280501df722372d2e1"
"""What images are built from unless told otherwise, by its digest: Debian 12 with Python 3.11. Anything with its glibc,
bash and Python will do as well."""

USER = "10001:10001"
"""User and group of every process; no image needs to know them by name."""

CONFIGURE = "configure"
_PROFILE = "core"
_INTERVAL_SECONDS = 5
_TIMEOUT_SECONDS = 4
_FAILURES_MAX = 3

_Service = dict[str, object]


def compose_text(spec: ClusterSpec, source: str) -> str:
    """The Compose file for the cluster of `spec`. `source` is the machine's folder, as seen from the file.

    Errors: `limit_exceeded`.
    """
    made = container_plan(spec, Logins())
    names = [*made.names(), CLUSTER]
    services: dict[str, _Service] = {CONFIGURE: _configure(spec, names, source)}
    built = {_image(Kind.NODE, "")}
    for process in made.processes:
        image = _image(process.kind, process.command[0])
        services[process.name] = _service(process, image, source, builds=image not in built)
        built.add(image)
    document = {"services": services, "volumes": dict.fromkeys(names)}
    header = (
        "# Written by `relm compose print`: a container for each process that `relm up` runs. Do not edit it;\n"
        "# docs/compose.md says how to start it and what may be set.\n"
    )
    # Leaves on one line each: commands read as they are typed.
    return header + yaml.safe_dump(document, sort_keys=False, default_flow_style=None, width=118)


def _service(process: ProcessSpec, image: tuple[str, str], source: str, *, builds: bool) -> _Service:
    is_node = process.kind == Kind.NODE
    waits = {CONFIGURE: "service_completed_successfully", **dict.fromkeys(process.needs, "service_healthy")}
    environment = {name: _literal(value) for name, value in process.environment.items()}
    return {
        **_image_lines(image, builds=builds),
        "profiles": [_PROFILE],
        "hostname": process.name,
        "command": [_literal(argument) for argument in process.command],
        **({"environment": environment} if environment else {}),
        "volumes": [_volume(process.name, process.folder), *([_machine(source)] if is_node else [])],
        **({"ports": [_published(process)]} if is_node else {}),
        "depends_on": {name: {"condition": condition} for name, condition in waits.items()},
        "healthcheck": {
            "test": ["CMD", "ready", *map(_literal, process.ready)],
            "interval": f"{_INTERVAL_SECONDS}s",
            "timeout": f"{_TIMEOUT_SECONDS}s",
            "retries": _FAILURES_MAX,
            "start_period": f"{process.start_seconds_max:g}s",
        },
        "restart": "unless-stopped",
        "stop_signal": process.stop_signal.name,
        "stop_grace_period": f"{process.stop_seconds:g}s",
        **_confined(),
    }


def _configure(spec: ClusterSpec, names: list[str], source: str) -> _Service:
    """The container that writes everybody's files, and so the only one that sees every volume."""
    grants = [] if spec.grants_path is None else ["--grants", str(spec.grants_path)]
    options = ["--nodes", str(spec.nodes), "--sync", spec.sync, *grants]
    return {
        **_image_lines(_image(Kind.NODE, ""), builds=True),
        "profiles": [_PROFILE],
        "command": ["python3", "-m", "relmachine", "compose", CONFIGURE, str(spec.machine_path), *options],
        "volumes": [*(_volume(name, spec.folder(name)) for name in names), _machine(source)],
        "network_mode": "none",
        "restart": "no",
        **_confined(),
    }


def _image(kind: str, program: str) -> tuple[str, str]:
    """Name and version of an image: one for each server, and one for nodes."""
    if kind == Kind.NODE:
        return str(Kind.NODE), __version__
    name = Path(program).name
    return name, manifest().get(name).version


def _image_lines(image: tuple[str, str], *, builds: bool) -> _Service:
    """The image, and in one of its containers how it is built."""
    name, version = image
    tag = f"relmachine/{name}:{version}"
    if not builds:
        return {"image": tag}
    program = {} if name == Kind.NODE else {"PROGRAM": name}
    args = {"BASE_IMAGE": f"${{BASE_IMAGE:-{BASE_IMAGE}}}", **program}
    target = name if name == Kind.NODE else "server"
    return {
        "image": tag,
        "build": {"context": f"${{RELM_IMAGES:-./build/images}}/{name}", "target": target, "args": args},
    }


def _confined() -> Mapping[str, object]:
    """What no process needs is taken from it. Logs are bounded."""
    return {
        "user": USER,
        "read_only": True,
        "tmpfs": ["/tmp"],
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "logging": {"driver": "json-file", "options": {"max-size": "16m", "max-file": "2"}},
    }


def _volume(name: str, folder: Path) -> str:
    return f"{name}:{folder}"


def _machine(source: str) -> Mapping[str, object]:
    where = f"${{RELM_MACHINE_FOLDER:-{source}}}"
    return {"type": "bind", "source": where, "target": str(MACHINE), "read_only": True}


def _published(process: ProcessSpec) -> str:
    """A node's HTTP on this machine only, at the port that `relm up` would take, or another."""
    port = process.ports["http"]
    variable = f"RELM_{process.name.upper().replace('-', '_')}_PORT"
    return f"127.0.0.1:${{{variable}:-{port}}}:{port}"


def _literal(text: str) -> str:
    """Compose reads `$` as the begin of a variable."""
    return text.replace("$", "$$")
