"""A real OPA server on a folder of its own, started as a cluster starts it; to be killed and started again."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from relmachine.gates.grants import Grants
from relmachine.gates.opa_server import bundle_files, opa_command, opa_config, write_bundle
from tests.real_servers import need

READY_SECONDS_MAX = 30.0
PORTS = range(20_000, 30_000)


class OpaProcess:
    """One server of a bundle; `rules` replaces the rules under the same revision."""

    def __init__(self, folder: Path, grants: Grants | None = None, rules: str | None = None) -> None:
        self.folder, self.bundle, self.log_path = folder, folder / "bundle", folder / "opa.log"
        self.revision = write_bundle(self.bundle, grants)
        assert set(bundle_files(grants)) == {path.name for path in self.bundle.iterdir()}
        if rules is not None:
            (self.bundle / "steps.rego").write_text(rules)
        (folder / "opa.yaml").write_text(opa_config("permit"))
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def start(self) -> None:
        """Start, and return when it answers; on the port it had, or on one that is free."""
        for port in [self.port] if self.port else filter(_free, random.sample(PORTS, 100)):
            self.port = port
            command = opa_command(str(need("opa")), str(self.bundle), port, str(self.folder / "opa.yaml"))
            with self.log_path.open("ab") as log:
                self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
            if self._answers():
                return
            self.kill()
        pytest.fail(f"OPA does not start: {self.log[-2000:]}")

    def kill(self) -> None:
        """kill -9, and wait for its end."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """Stop it, and return when none of its threads runs."""
        os.kill(self.pid, signal.SIGSTOP)
        assert os.WIFSTOPPED(os.waitpid(self.pid, os.WUNTRACED)[1])

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    async def started_again(self) -> None:
        await asyncio.to_thread(self.start)

    def _answers(self) -> bool:
        assert self._process is not None
        deadline = time.monotonic() + READY_SECONDS_MAX
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/health?bundles", timeout=1) as answer:
                    return answer.status == 200 and self._process.poll() is None
            except (urllib.error.URLError, OSError):
                time.sleep(0.01)
        return False


def _free(port: int) -> bool:
    """Whether nobody listens there: another OPA would answer for ours."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


class OpaProcesses:
    """Servers by what they serve, each started when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, OpaProcess] = {}

    def serving(self, grants: Grants | None, rules: str | None = None) -> OpaProcess:
        key = f"{'' if grants is None else grants.model_dump_json()}{rules}"
        if key not in self._running:
            folder = self._folder / str(len(self._running))
            folder.mkdir()
            server = OpaProcess(folder, grants, rules)
            server.start()
            self._running[key] = server
        return self._running[key]

    def end(self) -> None:
        for server in self._running.values():
            server.kill()


def opa_processes(folder: Path) -> Iterator[OpaProcesses]:
    """For a fixture: servers that end with it."""
    servers = OpaProcesses(folder)
    try:
        yield servers
    finally:
        servers.end()
