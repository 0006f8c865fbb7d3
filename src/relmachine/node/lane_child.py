"""`python -m relmachine.node.lane_child`: the control lane of a node, in a process of its own.

It is told what it needs on standard input, says where it serves on standard output, and ends when its input does: with
its node, however that ends. It shares nothing with the node but the stream and the store, whose fence decides.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator

import orjson
import structlog
import uvloop

from relmachine.errors import RelmError
from relmachine.gates.policy import RegoPolicy
from relmachine.gates.port import PolicyGate
from relmachine.machine.plan import Plan
from relmachine.node.http import build_control_app
from relmachine.node.lane import lane_parts
from relmachine.node.lane_told import LaneTold
from relmachine.node.web import serving
from relmachine.priority import raise_process
from relmachine.realtime import is_at_once, stay_at_once
from relmachine.store.declaration import load_plan
from relmachine.store.file_order import FileOrder
from relmachine.store.port import LaneStore
from relmachine.store.sqlite_lane import SqliteLaneStore
from relmachine.stream.topology import topology

_log = structlog.get_logger(__name__)


async def work(told: LaneTold) -> None:
    """Be the lane until standard input ends. Errors: those of `lane_parts` and of `serving`."""
    plan = load_plan(told.plan)
    opening = lane_parts(
        plan,
        told.limits,
        told.stream,
        topology(plan),
        told.stream_bounds,
        lambda: _store(told, plan),
        lambda: _policy(told, plan),
        reclaim=told.reclaim,
    )
    async with opening as lane, serving(build_control_app(lane, plan, told.limits), told.host, told.port) as url:
        _say({"url": url})
        working = asyncio.create_task(lane.run(), name="control lane")
        left = asyncio.create_task(_node_left(), name="node")
        ahead = asyncio.create_task(_stay_ahead(), name="ahead of others")
        await asyncio.wait([working, left], return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
        for task in (working, left, ahead):
            task.cancel()
        await asyncio.gather(working, left, ahead, return_exceptions=True)


async def _stay_ahead() -> None:
    await stay_at_once()
    if not is_at_once():
        _log.debug("the control lane does not run at once", allow="rtprio")


async def _node_left() -> None:
    """Return when standard input ends. Not a read in a thread, which nobody could end."""
    loop, stream = asyncio.get_running_loop(), asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), sys.stdin.buffer)
    await stream.read()


@contextlib.asynccontextmanager
async def _store(told: LaneTold, plan: Plan) -> AsyncGenerator[LaneStore]:
    if told.store_path is not None:
        order = FileOrder(told.store_path)
        with contextlib.closing(SqliteLaneStore(told.store_path, told.store_id, told.limits, order)) as store:
            yield store
        return
    from relmachine.store.rqlite.store import RqliteStore  # its client comes with the extra "cluster"

    opened = await RqliteStore.open(told.store_urls, plan, told.limits, told.rqlite_bounds)
    try:
        yield opened
    finally:
        await opened.close()


@contextlib.asynccontextmanager
async def _policy(told: LaneTold, plan: Plan) -> AsyncGenerator[PolicyGate]:
    if told.opa_url is None:
        yield RegoPolicy(plan.machine, told.grants)
        return
    from relmachine.gates.opa import OpaPolicy  # its client comes with the extra "cluster"

    async with OpaPolicy.opened(told.opa_url, plan.machine, told.grants, None, opa_bounds=told.opa_bounds) as gate:
        yield gate


def _say(value: object) -> None:
    sys.stdout.buffer.write(orjson.dumps(value) + b"\n")
    sys.stdout.buffer.flush()


def main() -> int:
    """Read what is told, and be the lane. 1 when it could not be, said as one JSON object."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # its output is for its node
    told = LaneTold.model_validate_json(sys.stdin.buffer.readline())
    if not raise_process():
        _log.debug("the control lane has no priority", allow="nice")
    try:
        uvloop.run(work(told))
    except RelmError as error:  # one that has said where it serves is started again
        _log.error("the control lane cannot go on", code=error.code, sentence=error.sentence)
        _say({"error": error.as_json()})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
