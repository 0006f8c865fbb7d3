"""How other commands find a cluster: the `context.json` of its first node, in the cluster's folder, while it runs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator

from relmachine.cluster.kind import Kind
from relmachine.cluster.spec import ClusterSpec
from relmachine.node.context import Context


@contextlib.contextmanager
def reachable(spec: ClusterSpec) -> Generator[None]:
    """Say where the cluster is until the block ends; afterwards say that nobody runs. Without nodes there is nothing
    to say.

    The supervisor counts as the running process: the cluster is there as long as it is, whichever node restarts.
    """
    nodes = spec.names(Kind.NODE)
    if not nodes:
        yield
        return
    context = Context.load(spec.folder(nodes[0]))
    context.model_copy(update={"pid": os.getpid(), "nats_pid": None}).save(spec.data_dir)
    try:
        yield
    finally:
        context.model_copy(update={"pid": None, "nats_pid": None}).save(spec.data_dir)
