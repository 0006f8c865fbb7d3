"""Who owns a server's data folder: one living node, by a lock that dies with it."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from pathlib import Path

import structlog

from relmachine.errors import Code, RelmError

_log = structlog.get_logger(__name__)


class Folder:
    """A data folder held exclusively. The kernel lets go of the lock when the holding process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    @property
    def pid_file(self) -> Path:
        """Where the server writes its process id."""
        return self.path / "nats.pid"

    @property
    def config_file(self) -> Path:
        """The server's configuration; it also marks the server's command line as ours."""
        return self.path / "nats.conf"

    @property
    def log_file(self) -> Path:
        """The server's log."""
        return self.path / "nats.log"

    def hold(self) -> None:
        """Lock the folder. Errors: `unreachable` when another living node holds it."""
        if self._lock is not None:
            return
        self.path.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.path / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise RelmError(
                Code.UNREACHABLE,
                "a node is already running on this folder: stop it, or give this one a folder of its own with --data",
                folder=str(self.path),
            ) from error
        self._lock = lock

    def release(self) -> None:
        """Let go of the folder. May be called twice."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def stop_orphan(self, seconds_max: float = 10.0) -> None:
        """Stop a server that outlived its node: call while holding the folder.

        A process counts as that server only when its command line names this folder's configuration, so that a
        recycled process id never hits a stranger.
        """
        pid = self._orphan()
        if pid is None:
            return
        _log.info("orphan_stopped", pid=pid, folder=str(self.path))
        deadline = time.monotonic() + seconds_max
        for sign, until in ((signal.SIGTERM, deadline - seconds_max / 2), (signal.SIGKILL, deadline)):
            try:
                os.kill(pid, sign)
            except ProcessLookupError:
                return
            while time.monotonic() < until:
                if self._orphan() != pid:
                    return
                time.sleep(0.01)

    def _orphan(self) -> int | None:
        try:
            pid = int(self.pid_file.read_text().strip())
        except (OSError, ValueError):
            return None
        return pid if str(self.config_file) in command_line(pid) else None


def command_line(pid: int) -> str:
    """The command line of a living process; empty when there is none."""
    proc = Path(f"/proc/{pid}")
    if Path("/proc/self").exists():
        try:
            return (proc / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    listed = subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return listed.stdout.strip()
