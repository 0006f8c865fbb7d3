"""A Docker engine for tests: a daemon of its own on a socket and a data folder of its own, in namespaces of its own.

All that it starts, mounts and writes into the firewall is in these namespaces, and ends with them: with the daemon, or
with the process that started it, however that ends. One runs at a time; its folder is wiped before and after.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from relmachine.servers.cache import Cache

PROGRAMS = [
    "dockerd",
    "docker",
    "docker-compose",
    "debootstrap",
    "unshare",
    "nsenter",
    "setpriv",
    "ip",
    "iptables",
    "curl",
]
START_SECONDS_MAX = 60.0
LOOK_SECONDS = 0.1
_CGROUP = "relmachine-compose"

# Forked by unshare, so process 1 of its namespace: when it ends the kernel ends every container.
_DAEMON = 'ip link set lo up && exec dockerd "$@"'


def missing() -> str | None:
    """Why no engine can run here; None when one can."""
    if os.name != "posix" or os.geteuid() != 0:
        return "a container engine needs root"
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"not on this machine: {', '.join(absent)} (docs/compose.md)" if absent else None


@dataclass(frozen=True, slots=True)
class Engine:
    """A running engine. `pid` is the daemon's."""

    folder: Path
    pid: int

    @property
    def environment(self) -> Mapping[str, str]:
        """What clients need to reach it, and no other engine."""
        return {**os.environ, "DOCKER_HOST": f"unix://{_socket(self.folder)}", "DOCKER_BUILDKIT": "0"}

    def docker(self, *arguments: str) -> str:
        """What the client prints; fails with what it says when it fails."""
        return run(["docker", *arguments], self.environment)

    def inside(self, *command: str) -> str:
        """Run a program of this machine with the engine's network and process ids."""
        return run(["nsenter", "--target", str(self.pid), "--net", "--pid", "--mount", *command])


def run(command: list[str], environment: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    """What a program prints. Errors: AssertionError with the end of what it said."""
    done = subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, check=False)
    said = f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert done.returncode == 0, f"{' '.join(command[:6])} ended with {done.returncode}:\n{said}"
    return done.stdout


@contextlib.contextmanager
def engine() -> Iterator[Engine]:
    """An engine, gone afterwards with everything that it made."""
    folder = Cache.of_user().root / "compose" / "engine"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock, contextlib.ExitStack() as stack:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _wipe(folder)
        stack.callback(_wipe, folder)
        folder.mkdir(mode=0o700)
        daemon = stack.enter_context(_daemon(folder))
        yield Engine(folder, daemon)


@contextlib.contextmanager
def _daemon(folder: Path) -> Iterator[int]:
    flags = {
        "host": f"unix://{_socket(folder)}",
        "data-root": folder / "data",
        "exec-root": folder / "exec",
        "pidfile": folder / "pid",
        "cgroup-parent": f"/{_CGROUP}",
        "bridge": "none",
        "log-level": "warn",
    }
    spaces = ["--mount", "--net", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"]
    command = ["setpriv", "--pdeathsig", "KILL", "unshare", *spaces, "bash", "-c", _DAEMON, "dockerd"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, *(f"--{name}={value}" for name, value in flags.items())], stdout=log, stderr=log
        )
    try:
        yield _started(process, folder)
    finally:
        _end(process)


def _started(process: subprocess.Popen[bytes], folder: Path) -> int:
    """The daemon's process id once it answers."""
    deadline = time.monotonic() + START_SECONDS_MAX
    ask = ["docker", "--host", f"unix://{_socket(folder)}", "version"]
    while subprocess.run(ask, capture_output=True, check=False).returncode != 0:
        said = (folder / "log").read_text()[-3000:]
        assert process.poll() is None, f"the engine ended: {said}"
        assert time.monotonic() < deadline, f"the engine is not ready: {said}"
        time.sleep(LOOK_SECONDS)
    return _children(process.pid)[0]


def _end(process: subprocess.Popen[bytes]) -> None:
    """The daemon ends its containers and itself; what does not end in time is killed with its namespace."""
    with contextlib.suppress(OSError, IndexError):
        os.kill(_children(process.pid)[0], signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
    process.kill()
    process.wait()


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _socket(folder: Path) -> Path:
    return folder / "socket"


def _wipe(folder: Path) -> None:
    """Remove the folder and the empty control groups, also those that a killed run left."""
    if folder.exists():
        shutil.rmtree(folder)
    for top in [Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").glob("*")]:
        for group, _, _ in os.walk(top / _CGROUP, topdown=False):
            with contextlib.suppress(OSError):
                Path(group).rmdir()
