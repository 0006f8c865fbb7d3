"""The nats-server process: started under a watch that ends it with this process, stopped by its own process id."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess

import structlog

from relmachine.priority import started_before_others
from relmachine.servers import locate
from relmachine.stream.folder import Folder

_log = structlog.get_logger(__name__)

_SERVER = "nats-server"
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


class ServerProcess:
    """At most one server process on `folder`, which has its configuration."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether it lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Process id of the server itself. Only while running."""
        return int(self._folder.pid_file.read_text())

    def launch(self) -> None:
        """Start it, before others: whatever is published or read waits for it. Errors: `server_missing`."""
        folder = self._folder
        folder.pid_file.unlink(missing_ok=True)
        command = ["/bin/sh", "-c", _WATCHED, "relm-nats", str(locate(_SERVER)), "-c", str(folder.config_file)]
        with folder.log_file.open("ab") as log:
            self._process = started_before_others(
                lambda: subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                    start_new_session=True,  # Ctrl-C at the terminal is for the node, which then stops it in order
                )
            )

    async def ended(self) -> None:
        """Return when it is gone, at once when there is none."""
        if self._process is not None:
            await asyncio.to_thread(self._process.wait)

    async def end(self, sign: signal.Signals, seconds_max: float) -> None:
        """Signal it and wait; it is killed when that takes longer than `seconds_max`."""
        process, self._process = self._process, None
        if process is None:
            return
        # It may have ended by itself, or before it wrote its process id: the closed pipe stops what is left.
        with contextlib.suppress(OSError, ValueError):
            os.kill(self.pid, sign)
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.to_thread(process.wait, seconds_max)
        except subprocess.TimeoutExpired:
            _log.warning("server_killed", folder=str(self._folder.path))
            os.killpg(process.pid, signal.SIGKILL)
            await asyncio.to_thread(process.wait)
