"""Asking the supervisor of a cluster from another process."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

from relmachine.cluster.holding import supervisor_pid
from relmachine.cluster.listening import SIGN_SECONDS, STARTING, socket_path
from relmachine.cluster.requests import Answer, Done, Request
from relmachine.cluster.state import ClusterState
from relmachine.errors import Code, RelmError

SILENCE_SECONDS_MAX = 10 * SIGN_SECONDS
"""How long a supervisor that is at it may be silent."""


def ask(cluster: Path, request: Request, told: Callable[[str], None]) -> Done:
    """Have the supervisor of the folder carry out `request`; `told` hears of its steps. What was begun goes on when
    this ends before.

    Errors: `not_found` when no cluster has run there, `unreachable` when it has no supervisor that answers, and those
    of the request (`Changes.carry_out`).
    """
    ClusterState.load(cluster)
    supervisor = supervisor_pid(cluster)
    if supervisor is None:
        sentence = f"nobody keeps the cluster in {cluster} running: start it with `relm up --data {cluster}`"
        raise RelmError(Code.UNREACHABLE, sentence, folder=str(cluster))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(SILENCE_SECONDS_MAX)
        try:
            with socket_path(cluster) as path:
                connection.connect(path)
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise RelmError(Code.UNREACHABLE, STARTING, supervisor=supervisor) from error
        try:
            connection.sendall(request.model_dump_json().encode() + b"\n")
            return _answer(connection, told)
        except (OSError, EOFError) as error:
            sentence = (
                f"the supervisor ended or froze before it was done: see `relm status --data {cluster}`; what was begun "
                "is written down, and the next `relm up` goes on with it"
            )
            raise RelmError(Code.UNREACHABLE, sentence, supervisor=supervisor, detail=repr(error)) from error


def _answer(connection: socket.socket, told: Callable[[str], None]) -> Done:
    with connection.makefile("rb") as lines:
        for line in lines:
            answer = Answer.model_validate_json(line)
            if answer.told is not None:
                told(answer.told)
            if answer.error is not None:
                raise answer.error.as_error()
            if answer.done is not None:
                return answer.done
    raise EOFError("no last line")
