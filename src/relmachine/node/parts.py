"""The composition root: every part of a node, opened in order and closed in the reverse order."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from relmachine.gates.constraint_programs import programs_digest
from relmachine.gates.explicit import refuse_broken_tables
from relmachine.gates.policy import RegoPolicy
from relmachine.gates.shape import ShapeGate
from relmachine.hosts.foretelling import foretell
from relmachine.hosts.held_keeper import HeldKeeper
from relmachine.hosts.telemetry import Telemetry
from relmachine.node.gate_parts import open_gates
from relmachine.node.interface import Interface
from relmachine.node.lane_opening import LaneParts, open_lane
from relmachine.node.policy_opening import open_policy, read_grants
from relmachine.node.sharing import node_limits, stream_bounds
from relmachine.node.store_opening import open_store
from relmachine.node.stream_opening import open_server, open_stream
from relmachine.node.timing import GateTimes
from relmachine.node.turn_parts import TurnParts, open_turns
from relmachine.store.held import HeldSteps

if TYPE_CHECKING:
    from relmachine.kernel.limits import Limits
    from relmachine.machine import Machine
    from relmachine.machine.plan import Plan
    from relmachine.node.settings import Settings
    from relmachine.store.rqlite.store import RqliteStore
    from relmachine.store.sqlite import SqliteStore
    from relmachine.stream.nats import NatsStream
    from relmachine.stream.server import NatsServer


@dataclass(slots=True)
class Parts:
    """What a node is made of. A task in `vital` that ends takes the node with it."""

    plan: Plan
    store: SqliteStore | RqliteStore
    stream: NatsStream
    server: NatsServer | None
    interface: Interface
    times: GateTimes
    telemetry: Telemetry
    turns: TurnParts
    lane: LaneParts
    vital: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])
    http_url: str | None = None


async def open_parts(stack: contextlib.AsyncExitStack, machine: Machine, settings: Settings) -> Parts:
    """Open every part; `stack` closes them last first. Errors: see `Node.running`.

    The interface asks a policy in process that counts no rates: each step counts once, in its turn.
    """
    grants = None if settings.grants is None else read_grants(settings.grants)
    policy = await open_policy(stack, machine.name, grants, settings)
    early = RegoPolicy(machine.name, grants)
    refuse_broken_tables(machine.declaration.explicit)
    plan = machine.plan({"policy": policy.revision, "constraints": programs_digest()})
    limits = node_limits(settings)
    vital: list[asyncio.Task[None]] = []
    server = await open_server(stack, settings, vital)
    store = await open_store(settings, plan)
    stack.push_async_callback(store.close)
    stream = await open_stream(stack, settings, plan, limits, store.store_id, server)
    await foretell(plan, store, stream.feed_reader)
    times = GateTimes()
    gates = open_gates(stack, plan, limits, policy, times)
    interface = Interface(plan, ShapeGate(plan, limits), early, store, stream, limits)
    telemetry = _telemetry(stream, interface, limits)
    stack.push_async_callback(telemetry.close)
    turns = await open_turns(stack, plan, settings, limits, store, stream, gates, telemetry)
    asking = partial(open_policy, machine=plan.machine, grants=grants, settings=settings)
    lane = await open_lane(stack, plan, settings, stream, store, grants, limits, stream_bounds(settings), asking)
    vital += [asyncio.create_task(one.ended(), name="control lane") for one in lane.vital]
    _keep_held(stack, plan, store, stream)
    lane.thread.listen(turns.effects.heard, turns.relay.gone)
    return Parts(plan, store, stream, server, interface, times, telemetry, turns, lane, vital)


def _telemetry(stream: NatsStream, interface: Interface, limits: Limits) -> Telemetry:
    """What tells of turns and runs, as long as no more is undecided than the limit says."""

    async def overloaded() -> bool:
        return await interface.door.undecided_now() >= limits.telemetry_undecided_max

    return Telemetry(stream.telemetry.send, overloaded, limits.telemetry_waiting_max)


def _keep_held(
    stack: contextlib.AsyncExitStack, plan: Plan, store: SqliteStore | RqliteStore, stream: NatsStream
) -> None:
    """Have steps released whose time to wait is over, when any may wait."""
    if any(step.defers for step in plan.steps):
        keeper = HeldKeeper(plan, HeldSteps(store.deciding), stream.publisher)
        keeper.start()
        stack.push_async_callback(keeper.close)
