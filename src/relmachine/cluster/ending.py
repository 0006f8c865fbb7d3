"""Ending a cluster from outside: its supervisor drains it; whatever is left then is ended here."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from relmachine.cluster.holding import holding, supervisor_pid
from relmachine.cluster.leftovers import end_leftovers
from relmachine.cluster.state import ClusterState, Phase, Stage
from relmachine.cluster.telling import Watcher
from relmachine.node.living import birth

DRAIN_SECONDS_MAX = 90.0
"""How long a supervisor may take to drain; it is then killed, and its processes with it."""

_LOOK_SECONDS = 0.05


def end(cluster: Path, watcher: Watcher | None = None, seconds_max: float = DRAIN_SECONDS_MAX) -> bool:
    """End the cluster in the folder and return whether it ran. `watcher` sees its state while it drains.

    Errors: `not_found` when none has run there.
    """
    state = ClusterState.load(cluster)
    supervisor = supervisor_pid(cluster)
    if supervisor is not None:
        began = birth(supervisor)
        _send(supervisor, signal.SIGTERM)
        if not _gone(cluster, supervisor, began, seconds_max, watcher):
            _send(supervisor, signal.SIGKILL)
            _gone(cluster, supervisor, began, seconds_max, None)
    with holding(cluster):
        left = end_leftovers(cluster)
    state = ClusterState.load(cluster)
    if state.phase not in {Phase.STOPPED, Phase.FAILED}:  # the supervisor had no time to say so
        for process in state.processes:
            process.stage, process.pid = Stage.STOPPED, None
        state.phase = Phase.STOPPED
        state.save(cluster)
    if watcher is not None:
        watcher(state)
    return supervisor is not None or bool(left)


def _gone(cluster: Path, supervisor: int, began: str | None, seconds_max: float, watcher: Watcher | None) -> bool:
    deadline = time.monotonic() + seconds_max
    while began is not None and birth(supervisor) == began:
        if time.monotonic() > deadline:
            return False
        if watcher is not None:
            watcher(ClusterState.load(cluster))
        time.sleep(_LOOK_SECONDS)
    return True


def _send(pid: int, sign: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, sign)
