"""A cluster in a folder: its ports, logins and programs found, its plan made, its processes supervised."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import structlog

from relmachine.cluster.changes import Changes
from relmachine.cluster.context import reachable
from relmachine.cluster.holding import holding
from relmachine.cluster.leftovers import end_leftovers
from relmachine.cluster.listening import listening
from relmachine.cluster.logins import load_or_create
from relmachine.cluster.plan import plan, programs
from relmachine.cluster.ports import check_free, free_block, ports
from relmachine.cluster.spec import ClusterPlan, ClusterSpec
from relmachine.cluster.state import ClusterState, Wish
from relmachine.cluster.supervisor import Supervisor
from relmachine.cluster.telling import Watcher
from relmachine.errors import Code, RelmError
from relmachine.gates.grants import Grants, parse_grants
from relmachine.servers import locate

_log = structlog.get_logger(__name__)


@contextlib.asynccontextmanager
async def running(spec: ClusterSpec, watcher: Watcher | None = None) -> AsyncGenerator[Supervisor]:
    """The cluster of `spec`, every process ready; drained when the block ends. Call in the main thread. Meanwhile nodes
    come and go when `cluster.asking` is used.

    Errors: `unreachable` when another supervisor has the folder, a port is taken, or a process does not get ready;
    `server_missing` with the command that builds it; `limit_exceeded`; `grants_invalid`.
    """
    spec = replace(spec, data_dir=spec.data_dir.resolve(), machine_path=spec.machine_path.resolve())
    make_folder(spec.data_dir)
    with holding(spec.data_dir):
        for ended in await asyncio.to_thread(end_leftovers, spec.data_dir):
            _log.warning("leftover_ended", process=ended)
        found = {name: locate(name) for name in programs(spec)}
        grants = _grants(spec.grants_path)
        planned = partial(plan, found=found, logins=load_or_create(spec.data_dir), grants=grants)
        async with kept(spec, planned, watcher) as supervisor:
            yield supervisor


@contextlib.asynccontextmanager
async def kept(
    spec: ClusterSpec, planned: Callable[[ClusterSpec], ClusterPlan], watcher: Watcher | None = None
) -> AsyncGenerator[Supervisor]:
    """The cluster of `spec` as `planned` has it, and as it is asked to become. Call while holding the folder.

    Errors: see `running`.
    """
    made = planned(spec)
    check_free(ports(spec))
    with reachable(spec.data_dir) as follow:

        def watch(state: ClusterState) -> None:
            follow(state)
            if watcher is not None:
                watcher(state)

        async with contextlib.AsyncExitStack() as stack:
            # It listens before anybody reads that the cluster is ready, and no more once that is drained.
            listener = await stack.enter_async_context(listening(spec.data_dir))
            supervised = Supervisor.running(made, Wish.of(spec), spec.data_dir, watch)
            supervisor = await stack.enter_async_context(supervised)
            stack.push_async_callback(listener.close)
            listener.carry_out = Changes(supervisor, spec, planned).carry_out
            yield supervisor


def make_folder(data_dir: Path) -> None:
    """Make the folder, for its owner's eyes: logins, and what nodes and servers write, lie in it."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)


def _grants(path: Path | None) -> Grants | None:
    return None if path is None else parse_grants(path.read_text(encoding="utf-8"))


def recorded(data_dir: Path) -> Wish | None:
    """What the cluster in the folder was started with; None for a new folder."""
    try:
        return ClusterState.load(data_dir).wish
    except RelmError:
        return None


def first_port(data_dir: Path, asked: int | None) -> int:
    """The port a cluster begins at: as before, as asked, else the first free block.

    Errors: `unreachable` when another is asked than before: replicated servers know each other by their addresses.
    """
    before = recorded(data_dir)
    if before is None:
        return free_block() if asked is None else asked
    if asked is not None and asked != before.first_port:
        sentence = (
            "the servers in this folder know each other by their ports: leave --first-port out, or name a new --data"
        )
        raise RelmError(Code.UNREACHABLE, sentence, first_port=before.first_port)
    return before.first_port
