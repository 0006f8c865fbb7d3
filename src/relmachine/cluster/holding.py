"""Who supervises a cluster's folder: one living process, by a lock that dies with it, and its process id beside it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator
from pathlib import Path

from relmachine.errors import Code, RelmError
from relmachine.node.living import birth
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
        sentence = (
            f"a cluster runs in {cluster}: see `relm status`, change it with `relm nodes`, end it with `relm down`, or "
            "name another --data"
        )
        raise RelmError(error.code, sentence, supervisor=supervisor_pid(cluster)) from error
    try:
        write_private(cluster / _PID_FILE, f"{os.getpid()} {birth(os.getpid())}")
        yield
    finally:
        (cluster / _PID_FILE).unlink(missing_ok=True)
        folder.release()


def supervisor_pid(cluster: Path) -> int | None:
    """The process that supervises the folder; None when there is none. Never a stranger that was given the id of one
    that was killed: whoever asks may be about to send it a signal.
    """
    try:
        pid, _, began = (cluster / _PID_FILE).read_text().partition(" ")
        return int(pid) if began and birth(int(pid)) == began else None
    except (FileNotFoundError, ValueError):
        return None
