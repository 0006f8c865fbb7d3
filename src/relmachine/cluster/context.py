"""How other commands find a cluster: the `context.json` of one of its ready nodes, in the cluster's folder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Generator
from pathlib import Path

import structlog

from relmachine.cluster.kind import Kind
from relmachine.cluster.state import ClusterState, Phase, Stage
from relmachine.errors import RelmError
from relmachine.node.context import Context

_log = structlog.get_logger(__name__)

_SERVING = {Phase.READY, Phase.DEGRADED}


@contextlib.contextmanager
def reachable(folder: Path) -> Generator[Callable[[ClusterState], None]]:
    """Yields what is to be called with the state whenever it changed: it says where the cluster is, and names another
    node when the one that it named is not ready any more. Once the cluster drains, or the block ends, it says that
    nobody runs. Without nodes there is nothing to say.

    The supervisor counts as the running process: the cluster is there as long as it is, whichever node restarts.
    Errors, of what is yielded: OSError, `not_found`, `unreachable` when that cannot be written down; call it again.
    """
    named: str | None = None

    def follow(state: ClusterState) -> None:
        nonlocal named
        ready = [one.name for one in state.processes if one.kind == Kind.NODE and one.stage is Stage.READY]
        if state.phase in _SERVING and ready and named not in ready:
            _write(folder, ready[0], os.getpid())
            named = ready[0]
        elif state.phase not in _SERVING:
            nobody()

    def nobody() -> None:
        nonlocal named
        if named is not None:
            _write(folder, named, None)
            named = None

    try:
        yield follow
    finally:
        try:
            nobody()
        except (OSError, RelmError) as error:  # readers see that the supervisor is gone
            _log.warning("context_not_written", folder=str(folder), error=str(error))


def _write(folder: Path, node: str, pid: int | None) -> None:
    Context.load(folder / node).model_copy(update={"pid": pid, "nats_pid": None}).save(folder)
