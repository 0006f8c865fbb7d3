"""How far behind the stream things are, as running nodes tell. What does not answer is not known, and no error: lag is
asked for when something is slow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from pydantic import ValidationError

from relmachine.cli.http import get
from relmachine.errors import RelmError
from relmachine.node.context import Context
from relmachine.observe.answers_lag import InHand, Lag, Lane, ThreadLag

if TYPE_CHECKING:
    from rich.table import Table

    from relmachine.cluster.looking import ClusterLook

SECONDS_MAX = 5.0
"""How long a node may take."""

THREADS_PER_REQUEST = 50


@dataclass(frozen=True, slots=True)
class ClusterLag:
    """What each node that answered holds in memory, by process; lanes and threads as one of them tells them for all."""

    in_hand: Mapping[str, InHand]
    lanes: Sequence[Lane]
    threads: Sequence[ThreadLag]


def cluster_lag(seen: ClusterLook) -> ClusterLag:
    """The lag of a cluster that was looked at."""
    nodes = {one.process: one.address for one in seen.processes if one.is_node and one.pid is not None}
    with ThreadPoolExecutor(max_workers=8) as several:
        answers = dict(zip(nodes, several.map(_asked, nodes.values()), strict=True))
    known = {process: lag for process, lag in answers.items() if lag is not None}
    first = next(iter(known.values()), None)
    in_hand = {process: lag.node for process, lag in known.items()}
    return ClusterLag(in_hand, [], []) if first is None else ClusterLag(in_hand, first.lanes, first.threads)


def thread_lags(folder: Path, threads: Sequence[str]) -> dict[str, ThreadLag]:
    """The lag of each of `threads`, as the node of `folder` tells it; empty when it does not run or does not answer."""
    context = Context.load(folder)
    if not context.running or context.http_url is None:
        return {}
    found: dict[str, ThreadLag] = {}
    for start in range(0, len(threads), THREADS_PER_REQUEST):
        lag = _asked(context.http_url, threads[start : start + THREADS_PER_REQUEST])
        if lag is None:
            break
        found.update((line.thread, line) for line in lag.threads)
    return found


def lanes_table(lanes: Sequence[Lane]) -> Table:
    """One row a lane."""
    from relmachine.cli.output import cell, table

    columns = ("lane", "#newest", "#waiting", "#undelivered", "#unacknowledged", "#oldest_sequence", "#oldest_seconds")
    made = table(*columns, title="Lanes")
    for lane in lanes:
        counts = (lane.newest, lane.waiting, lane.undelivered, lane.unacknowledged)
        made.add_row(lane.lane, *map(cell, counts), cell(lane.oldest_sequence), cell(lane.oldest_seconds))
    return made


def threads_table(threads: Sequence[ThreadLag]) -> Table:
    """One row a thread that lags."""
    from relmachine.cli.output import cell, table

    made = table("label", "#behind", "#cursor", "#newest", "#oldest_seconds", title="Threads that lag most")
    for line in threads:
        made.add_row(cell(line.label), *map(cell, (line.behind, line.cursor, line.newest, line.oldest_seconds)))
    return made


def _asked(url: str, threads: Sequence[str] = ()) -> Lag | None:
    query = urlencode([("thread", thread) for thread in threads])
    try:
        return Lag.model_validate(get(f"{url}/lag?{query}", SECONDS_MAX))
    except (RelmError, ValidationError):
        return None
