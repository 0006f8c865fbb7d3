"""A real nats-server of this process's own: started on a folder, ready when it greets, stopped or killed."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

from relmachine.errors import Code, RelmError
from relmachine.stream.folder import Folder
from relmachine.stream.ports import free_port, greeting
from relmachine.stream.server_config import ServerLimits, Sync, configuration
from relmachine.stream.server_process import ServerProcess


class NatsServer:
    """One server on `data_dir`, listening on 127.0.0.1; `sync` says what an acknowledgement survives."""

    def __init__(
        self, data_dir: Path, port: int | None = None, sync: Sync = "default", limits: ServerLimits | None = None
    ) -> None:
        self.folder = Folder(data_dir.resolve())
        self.limits = limits or ServerLimits()
        self._sync: Sync = sync
        self._given_port = port
        self._port = port
        self._process = ServerProcess(self.folder)

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
        return self._process.running

    @property
    def pid(self) -> int:
        """Process id of the server itself. Only while running."""
        return self._process.pid

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
                self.folder.config_file.write_text(configuration(self.folder, self.port, self._sync, self.limits))
                self._process.launch()
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
        await self._process.ended()

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

    def _choose_port(self, attempt: int) -> None:
        recorded = self.folder.path / "port"
        if self._port is None and recorded.exists():
            self._port = int(recorded.read_text())
        if self._port is None or (attempt > 0 and self._given_port is None):
            self._port = free_port()
            recorded.write_text(str(self._port))

    async def _ready(self) -> bool:
        """Whether it greets a client before the deadline; false at once when its process ends."""
        deadline = time.monotonic() + self.limits.start_seconds_max
        while self.running and time.monotonic() < deadline:
            # Another program may hold the port: only the process we started has written the process id.
            if (await greeting(self.port)).startswith(b"INFO") and self.folder.pid_file.exists():
                return True
            await asyncio.sleep(0.02)
        return False

    async def _end(self, sign: signal.Signals) -> None:
        await self._process.end(sign, self.limits.stop_seconds_max)
