"""A node and a publisher as processes of their own, to be killed and started again."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from relmachine.errors import RelmError
from relmachine.node.context import Context
from tests import permit

DEADLINE_SECONDS = 120.0
LOOK_SECONDS = 0.02


def wait_until(condition: Callable[[], bool], what: str, seconds: float = DEADLINE_SECONDS) -> None:
    """Return when `condition` holds; fail with `what` after the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(LOOK_SECONDS)


class Cluster:
    """One node's folder, the node process on it and a publisher process that replays the permit log through it.

    Without a publisher the node may run another machine.
    """

    def __init__(self, folder: Path, machine: Path = permit.YAML) -> None:
        self.folder, self.machine = folder, machine
        self.log = (folder / "processes.log").open("ab")
        self.node: subprocess.Popen[bytes] | None = None
        self.publisher: subprocess.Popen[bytes] | None = None

    def start_node(self) -> None:
        """Start the node and wait until it says where it is."""
        self.node = self._spawn("dev", str(self.machine), "--data", str(self.folder / "data"), "--port", "0")
        node = self.node
        wait_until(lambda: node.poll() is not None or self._context_pid() == node.pid, "the node to be ready")
        assert node.poll() is None, f"the node ended: {(self.folder / 'processes.log').read_text()[-2000:]}"

    def start_publisher(self) -> None:
        """Start replaying the log."""
        self.publisher = self._spawn(
            "replay", str(permit.YAML), str(permit.LOG), "--context", str(self.folder / "data"), "--json"
        )

    def kill(self, target: str) -> None:
        """kill -9 of `node`, `nats` or `publisher`."""
        if target == "nats":
            recorded = self.folder / "data" / "nats" / "nats.pid"
            wait_until(recorded.exists, "the stream server's process id")
            os.kill(int(recorded.read_text()), signal.SIGKILL)
            return
        process = self.node if target == "node" else self.publisher
        assert process is not None
        process.kill()
        process.wait()

    def decided(self) -> int:
        """Steps decided so far, read from the store's file."""
        try:
            with sqlite3.connect(f"file:{self.folder / 'data' / 'store.db'}?mode=ro", uri=True) as db:
                return int(
                    db.execute(
                        "SELECT (SELECT count(*) FROM thread_events) + (SELECT count(*) FROM rejections)"
                    ).fetchone()[0]
                )
        except sqlite3.OperationalError:
            return 0

    def revive(self) -> None:
        """Start again what is not running."""
        if self.node is None or self.node.poll() is not None:
            self.start_node()
        if self.publisher is None or self.publisher.poll() not in {None, 0}:
            self.start_publisher()

    def close(self) -> None:
        """End everything."""
        for process in (self.publisher, self.node):
            if process is not None and process.poll() is None:
                process.terminate()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        self.log.close()

    def _context_pid(self) -> int | None:
        try:
            return Context.load(self.folder / "data").pid
        except RelmError:
            return None

    def _spawn(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Small rounds, so that a replay has many places to be killed at."""
        command = [sys.executable, "-m", "relmachine", *arguments]
        environment = {**os.environ, "RELM_LIMITS": '{"steps_per_round_max": 100, "threads_per_round_max": 20}'}
        return subprocess.Popen(command, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL, env=environment)
