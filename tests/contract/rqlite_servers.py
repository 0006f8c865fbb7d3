"""Real rqlite servers for tests: one or several, on free ports, killed and started again; and what may be missing."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import orjson

from tests.real_servers import need

DEADLINE_SECONDS = 40.0
PORTS = range(20_000, 32_000)
ELECTION = ("-raft-timeout", "250ms", "-raft-election-timeout", "250ms", "-raft-leader-lease-timeout", "200ms")


def free_ports(count: int) -> list[int]:
    """Ports below the ephemeral range that nobody listens on, so that none is taken before it is used."""
    found: list[int] = []
    start = PORTS.start + (os.getpid() * 37 + time.monotonic_ns() // 1000) % len(PORTS)
    for offset in range(len(PORTS)):
        port = PORTS.start + (start - PORTS.start + offset) % len(PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise AssertionError("no free ports")


class RqliteServer:
    """One server process with its folder."""

    def __init__(self, name: str, folder: Path, http: int, raft: int, flags: list[str]) -> None:
        self.folder, self.url = folder, f"http://127.0.0.1:{http}"
        self._command = [str(need("rqlited")), "-node-id", name, "-http-addr", f"127.0.0.1:{http}"]
        self._command += ["-raft-addr", f"127.0.0.1:{raft}", "-fk", *flags, str(folder)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; `until_ready` says when it answers."""
        with self.folder.with_suffix(".log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)

    def end(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it and wait until it is gone."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None

    def send(self, how: signal.Signals) -> None:
        """Stop it, or let it go on."""
        assert self._process is not None
        self._process.send_signal(how)

    @property
    def runs(self) -> bool:
        """Whether it was started and not ended."""
        return self._process is not None

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        assert self._process is not None
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def until_ready(self) -> None:
        """Return when it knows a leader and has caught up."""
        end = time.monotonic() + DEADLINE_SECONDS
        while self._ask("/readyz") is None:
            assert time.monotonic() < end, self.folder.with_suffix(".log").read_text()[-2000:]
            time.sleep(0.02)

    def post(self, path: str, body: bytes, kind: str = "application/json") -> bytes:
        """The answer to a request beside the code."""
        request = urllib.request.Request(f"{self.url}{path}", data=body, headers={"Content-Type": kind})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read()

    def execute(self, statement: str) -> str:
        """Run `statement` beside the code; returns the error's text, empty when it went through."""
        answer = orjson.loads(self.post("/db/execute?transaction", orjson.dumps([[statement]])))
        return answer.get("error") or answer["results"][-1].get("error", "")

    def leads(self) -> bool:
        """Whether it takes itself for the leader."""
        text = self._ask("/status")
        return text is not None and orjson.loads(text)["store"]["raft"]["state"] == "Leader"

    def _ask(self, path: str) -> bytes | None:
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=2) as answer:
                return answer.read()
        except OSError:
            return None


class RqliteServers:
    """`count` servers that form one cluster."""

    def __init__(self, folder: Path, count: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        ports = free_ports(2 * count)
        raft = ports[count:]
        together = ["-bootstrap-expect", str(count), "-join", ",".join(f"127.0.0.1:{port}" for port in raft)]
        flags = [*ELECTION, *(together if count > 1 else [])]
        self.servers = [
            RqliteServer(f"n{index}", folder / f"n{index}", ports[index], raft[index], flags) for index in range(count)
        ]
        empty = folder / "empty.db"
        connection = sqlite3.connect(empty)
        connection.executescript("CREATE TABLE gone (x); DROP TABLE gone;")
        connection.close()
        self._empty = empty.read_bytes()

    @property
    def urls(self) -> list[str]:
        """Where they answer."""
        return [server.url for server in self.servers]

    def start(self) -> RqliteServers:
        """Start all and wait until they are ready."""
        for server in self.servers:
            server.start()
        self.until_ready()
        return self

    def until_ready(self) -> None:
        """Return when every server that runs is ready."""
        for server in self.servers:
            if server.runs:
                server.until_ready()

    def leader(self) -> RqliteServer:
        """The server that leads, as soon as one does."""
        end = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < end:
            for server in self.servers:
                if server.runs and server.leads():
                    return server
            time.sleep(0.02)
        raise AssertionError("no leader")

    def clear(self) -> None:
        """Make the database empty again."""
        self.leader().post("/db/load", self._empty, "application/octet-stream")

    def end(self) -> None:
        """End all."""
        for server in self.servers:
            server.end()
