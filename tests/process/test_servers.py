"""Goal: the servers of this machine are those of the manifest, and start. Method: run each once; where a server tells
its version only in its log, start it on free ports until it has. Left out, with the reason, for servers that are not
here; with RELM_REQUIRE_CLUSTER=1 a missing server fails.
"""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
from pathlib import Path

import pytest

from relmachine.servers import available, locate
from relmachine.servers.cache import Cache
from relmachine.servers.manifest import GoServer, manifest
from tests.real_servers import need

pytestmark = pytest.mark.process

BUILT = [pytest.param(server, id=server.name) for server in manifest().built()]


@pytest.mark.parametrize("server", BUILT)
def test_it_is_what_was_built_and_says_what_it_is(server: GoServer) -> None:
    program = need(server.name)
    receipt = Cache.of_user().receipt(server)
    assert receipt is not None
    assert hashlib.sha256(program.read_bytes()).hexdigest() == receipt.sha256
    done = subprocess.run([program, *server.check], capture_output=True, text=True, timeout=60, check=False)
    assert server.shows in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["placement", "scheduler", "sentry"])
def test_the_control_plane_tells_the_version_of_the_manifest(name: str, tmp_path: Path) -> None:
    ports = iter(_free_ports(5))
    asked = [str(need(name)), "--port", next(ports), "--healthz-port", next(ports), "--metrics-port", next(ports)]
    if name == "placement":
        asked += ["--initial-cluster", f"dapr-placement-0=127.0.0.1:{next(ports)}"]
    if name == "scheduler":
        asked += ["--etcd-data-dir", str(tmp_path), "--etcd-client-port", next(ports)]
        asked += ["--etcd-initial-cluster", f"dapr-scheduler-server-0=http://127.0.0.1:{next(ports)}"]
    if name == "sentry":
        asked += ["--issuer-credentials", str(tmp_path)]
    process = subprocess.Popen(asked, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path)
    try:
        assert process.stdout is not None
        said = next((line for line in process.stdout if "-- version" in line), "it ended without a word")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert f"-- version {manifest().get(name).version} " in said


def test_the_sidecar_has_the_components_of_ours_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "store.yaml").write_text(
        json.dumps(
            {
                "apiVersion": "dapr.io/v1alpha1",
                "kind": "Component",
                "metadata": {"name": "other"},
                "spec": {"type": "state.redis", "version": "v1", "metadata": []},
            }
        )
    )
    (tmp_path / "config.yaml").write_text(
        json.dumps(
            {
                "apiVersion": "dapr.io/v1alpha1",
                "kind": "Configuration",
                "metadata": {"name": "config"},
                "spec": {
                    "nameResolution": {
                        "component": "nameformat",
                        "version": "v1",
                        "configuration": {"format": "{appid}"},
                    }
                },
            }
        )
    )
    options = ["--app-id", "a", "--resources-path", str(tmp_path), "--config", str(tmp_path / "config.yaml")]
    names = ["--dapr-http-port", "--dapr-grpc-port", "--dapr-internal-grpc-port", "--metrics-port"]
    ports = [word for pair in zip(names, _free_ports(4), strict=True) for word in pair]
    asked = [str(need("daprd")), *options, *ports, "--dapr-listen-addresses", "127.0.0.1"]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)
    assert "couldn't find state store state.redis/v1" in done.stdout
    assert "Initialized name resolution to nameformat" in done.stdout
    assert done.returncode != 0


def test_every_listed_path_is_a_program() -> None:
    for name, status in available().items():
        if status.path is not None:
            assert locate(name) == status.path
            assert status.path.stat().st_mode & 0o100


def _free_ports(count: int) -> list[str]:
    """Ports that nobody listens on right now, each another."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [str(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()
