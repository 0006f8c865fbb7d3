"""Run as a program: becomes a plain user, confines itself, and says what came of it as a line of JSON."""

from __future__ import annotations

import ctypes
import encodings.idna  # noqa: F401  sockets look for it later, when the library may be out of reach
import json
import os
import socket
import sys
import time
from pathlib import Path

from relmachine.engine.tools import confinement

PR_SET_DUMPABLE = 4
LIMITS = {
    "memory_bytes": 2**28,
    "cpu_seconds": 5,
    "file_bytes_max": 0,
    "open_files_max": 64,
    "children_max": 3,
}


def forks() -> int:
    """How many processes can be made; they end with the namespaces."""
    made = 0
    while made < 50:
        try:
            if os.fork() == 0:
                time.sleep(60)
        except BlockingIOError:
            break
        made += 1
    return made


def network() -> str:
    try:
        socket.create_connection(("127.0.0.1", 9), 1).close()
    except OSError as error:
        return os.strerror(error.errno or 0)
    return "connected"


def main() -> None:
    if os.getuid() == 0:
        os.setresgid(4321, 4321, 4321)
        os.setresuid(4321, 4321, 4321)
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # as after exec: its own /proc is its own
    user = os.getuid()
    confined = confinement.enter_namespaces()
    confinement.drop_rights(1)
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    confinement.set_limits(LIMITS, alone=confined)
    told: dict[str, object] = {"confined": confined}
    if confined:
        told |= {"same_user": os.getuid() == user, "rights": int(status["CapEff"], 16)}
        told |= {"forks": forks(), "network": network()}
    sys.stdout.write(json.dumps(told))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
