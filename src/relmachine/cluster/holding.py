"""Who supervises a cluster's folder: one living process, by a lock that dies with it, and its process id beside it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator
from pathlib import Path

from relmachine.errors import Code, RelmError
from relmachine.node.private import write_private
from relmachine.stream.folder import Folder

_PID_FILE = "supervisor.pid"
_OF_A_NODE = "store.db"


@contextlib.contextmanager
def holding(cluster: Path) -> Generator[None]:
    """Hold the folder until the block ends. Errors: `unreachable` when somebody else does, or a single node has it."""
    if (cluster / _OF_A_NODE).exists():
        sentence = "a node of `relm dev` has its data in this folder: name another one with --data"
        raise RelmError(Code.UNREACHABLE, sentence, folder=str(cluster))
    folder = Folder(cluster)
    try:
        folder.hold()
    except RelmError as error:
        sentence = f"a cluster runs in {cluster}: see `relm status`, end it with `relm down`, or name another --data"
        raise RelmError(error.code, sentence, supervisor=supervisor_pid(cluster)) from error
    try:
        write_private(cluster / _PID_FILE, str(os.getpid()))
        yield
    finally:
        (cluster / _PID_FILE).unlink(missing_ok=True)
        folder.release()


def supervisor_pid(cluster: Path) -> int | None:
    """The process that supervises the folder; None when there is none."""
    try:
        pid = int((cluster / _PID_FILE).read_text())
    except (FileNotFoundError, ValueError):
        return None
    return pid if lives(pid) else None


def lives(pid: int) -> bool:
    """Whether the process runs. One that ended and was not asked for its exit code yet does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it lives, and is somebody else's
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return True
    return state not in {"Z", "X"}
