"""The composition root: every part of a node, opened in order and closed in the reverse order."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from relmachine.errors import Code, RelmError
from relmachine.gates.admission import AdmissionGate
from relmachine.gates.classes import RateMeter
from relmachine.gates.constraint_programs import programs_digest
from relmachine.gates.constraints import ConstraintChecker
from relmachine.gates.explicit import refuse_broken_tables
from relmachine.gates.grants import Grants, parse_grants
from relmachine.gates.own_laws import OwnLaws
from relmachine.gates.policy import RegoPolicy
from relmachine.gates.port import PolicyGate
from relmachine.gates.shape import ShapeGate
from relmachine.hosts.assembly import Gates, assemble
from relmachine.hosts.dispatcher import Dispatcher
from relmachine.hosts.heard import Heard
from relmachine.hosts.held_keeper import HeldKeeper
from relmachine.hosts.lane_effects import OnEffect
from relmachine.hosts.local import LocalHost
from relmachine.hosts.pauses import Pauses
from relmachine.hosts.relay import Relay
from relmachine.hosts.round import Rounds
from relmachine.hosts.runner import Runner
from relmachine.hosts.telemetry import Telemetry
from relmachine.kernel.limits import Limits
from relmachine.machine import Machine
from relmachine.machine.plan import Plan
from relmachine.node.interface import Interface
from relmachine.node.lane_opening import LaneParts, open_lane
from relmachine.node.run_parts import dapr_tokens, open_runs
from relmachine.node.settings import Settings
from relmachine.node.supervision import keep_running
from relmachine.node.timing import GateTimes, TimedConstraints, TimedLaws, TimedOwnLaws, TimedPolicy, TimedShape
from relmachine.store.file_order import FileOrder
from relmachine.store.held import HeldSteps
from relmachine.store.sqlite import SqliteStore
from relmachine.stream.bounds import StreamBounds
from relmachine.stream.nats import NatsStream
from relmachine.stream.outlet import Outlet
from relmachine.stream.server import NatsServer

if TYPE_CHECKING:
    from relmachine.hosts.dapr import DaprHost
    from relmachine.store.rqlite.store import RqliteStore


STORE_FILE = "store.db"
"""The embedded store's file in the data folder."""


@dataclass(slots=True)
class Parts:
    """What a node is made of. A task in `vital` that ends takes the node with it."""

    plan: Plan
    store: SqliteStore | RqliteStore
    stream: NatsStream
    server: NatsServer | None
    rounds: Rounds
    local: LocalHost
    relay: Relay
    dispatcher: Dispatcher
    interface: Interface
    times: GateTimes
    telemetry: Telemetry
    runner: Runner | None
    pauses: Pauses
    lane: LaneParts
    vital: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])
    http_url: str | None = None


async def open_parts(stack: contextlib.AsyncExitStack, machine: Machine, settings: Settings) -> Parts:
    """Open every part; `stack` closes them last first. Errors: see `Node.running`.

    The interface asks a policy in process that counts no rates: each step counts once, in its turn.
    """
    grants = None if settings.grants is None else _read_grants(settings.grants)
    policy = await _open_policy(stack, machine.name, grants, settings)
    early = RegoPolicy(machine.name, grants)
    refuse_broken_tables(machine.declaration.explicit)
    plan = machine.plan({"policy": policy.revision, "constraints": programs_digest()})
    limits = _limits(settings)
    vital: list[asyncio.Task[None]] = []
    server = await _open_server(stack, settings, vital)
    store = await _open_store(settings, plan)
    stack.push_async_callback(store.close)
    url = ",".join(settings.nats_urls) if server is None else server.url
    stream = await NatsStream.open(
        url,
        plan,
        store.store_id,
        limits,
        stream_bounds(settings),
        replicas=settings.replicas,
        reclaim=not settings.store_urls,  # other nodes work on the same hints
    )
    stack.push_async_callback(stream.close)
    times = GateTimes()
    shape = TimedShape(plan, limits, times)
    laws = TimedLaws(AdmissionGate(plan), times)
    own_laws = _own_laws(stack, plan, limits, times)
    interface = Interface(plan, ShapeGate(plan, limits), early, store, stream, limits)
    telemetry = _telemetry(stream, interface, limits)
    stack.push_async_callback(telemetry.close)
    gates = Gates(
        shape, TimedPolicy(policy, times), laws, own_laws, TimedConstraints(ConstraintChecker(plan, limits), times)
    )
    relay = Relay(store, Outlet(stream.feeds, stream.publisher))
    stack.push_async_callback(relay.close)
    runs = open_runs(stack, plan, store, stream, limits, settings)
    pauses = Pauses()
    stages = assemble(plan, limits, store, stream.reader, gates, relay, runs.runner, runs.bindings, telemetry, pauses)
    rounds = Rounds(stages)
    local = LocalHost(rounds, limits, pauses)
    stack.push_async_callback(local.close)
    host = await _open_host(stack, local, plan, settings, stream, store.store_id, pauses)
    in_hand = None if settings.dapr_address is None else settings.dapr_bounds.hints_in_hand_max
    dispatcher = Dispatcher(stream.hints, host, limits, in_hand)
    stack.push_async_callback(dispatcher.close)
    stack.push_async_callback(stream.hints.close)  # before what is in hand goes back, lest it comes here again
    asking = partial(_open_policy, machine=plan.machine, grants=grants, settings=settings)
    lane = await open_lane(stack, plan, settings, stream, store, grants, limits, stream_bounds(settings), asking)
    vital += [asyncio.create_task(one.ended(), name="control lane") for one in lane.vital]
    effects = OnEffect(stages.hot, pauses, host)
    if any(step.defers for step in plan.steps):
        keeper = HeldKeeper(plan, HeldSteps(store.deciding), stream.publisher)
        keeper.start()
        stack.push_async_callback(keeper.close)
    if runs.runner is not None:
        effects.listeners.append(runs.runner.heard)
    lane.thread.listen(effects.heard, relay.gone)
    return Parts(
        plan,
        store,
        stream,
        server,
        rounds,
        local,
        relay,
        dispatcher,
        interface,
        times,
        telemetry,
        runs.runner,
        pauses,
        lane,
        vital,
    )


def _limits(settings: Settings) -> Limits:
    """As set; where nodes work on the same hints and call each other, with fewer hints fetched at once (what waits here
    could run elsewhere) and rounds that end well before the calls that wait for them."""
    limits, bounds = settings.limits, settings.dapr_bounds
    if settings.dapr_address is None:
        return limits
    return replace(
        limits,
        hints_per_fetch_max=min(limits.hints_per_fetch_max, max(1, bounds.hints_in_hand_max // 2)),
        steps_per_round_max=min(limits.steps_per_round_max, bounds.steps_per_round_max),
    )


def _own_laws(stack: contextlib.AsyncExitStack, plan: Plan, limits: Limits, times: GateTimes) -> TimedOwnLaws | None:
    """What judges by laws of the author's own, when there are any. Its process starts when it is first asked."""
    if not plan.own_laws:
        return None
    laws = OwnLaws(plan, limits)
    stack.callback(laws.close)
    return TimedOwnLaws(laws, times)


def _telemetry(stream: NatsStream, interface: Interface, limits: Limits) -> Telemetry:
    """What tells of turns and runs, as long as no more is undecided than the limit says."""

    async def overloaded() -> bool:
        return await interface.door.undecided_now() >= limits.telemetry_undecided_max

    return Telemetry(stream.telemetry.send, overloaded, limits.telemetry_waiting_max)


def stream_bounds(settings: Settings) -> StreamBounds:
    """As set; where nodes share a store, unless told otherwise with a shorter wait for the hints of one that died."""
    bounds = settings.stream_bounds
    return replace(bounds, ack_wait_seconds=bounds.acknowledged_within(shared=bool(settings.store_urls)))


async def _open_policy(
    stack: contextlib.AsyncExitStack, machine: str, grants: Grants | None, settings: Settings
) -> PolicyGate:
    """The policy in process, or on the node's OPA server when it is told of one."""
    meter = RateMeter(time.monotonic, settings.steps_per_minute_max)
    if settings.opa_url is None:
        return RegoPolicy(machine, grants, meter)
    from relmachine.gates.opa import OpaPolicy  # its client comes with the extra "cluster"

    opened = OpaPolicy.opened(settings.opa_url, machine, grants, meter, opa_bounds=settings.opa_bounds)
    return await stack.enter_async_context(opened)


async def _open_store(settings: Settings, plan: Plan) -> SqliteStore | RqliteStore:
    """The replicated store when the node is told of its servers, else a file of its own."""
    if not settings.store_urls:
        path = settings.data_dir / STORE_FILE
        order = FileOrder(path) if settings.control_lane == "process" else None
        return SqliteStore.open(path, plan, settings.limits, order)
    from relmachine.store.rqlite.store import RqliteStore  # its client comes with the extra "cluster"

    return await RqliteStore.open(settings.store_urls, plan, settings.limits, settings.rqlite_bounds)


async def _open_host(
    stack: contextlib.AsyncExitStack,
    local: LocalHost,
    plan: Plan,
    settings: Settings,
    stream: NatsStream,
    store_id: str,
    pauses: Pauses,
) -> LocalHost | DaprHost:
    """Turns on whichever node the sidecars say, when there is a sidecar; else here."""
    if settings.dapr_address is None or settings.dapr_listen is None:
        return local
    from relmachine.hosts.dapr import DaprHost

    heard = Heard(stream, local.cursors, store_id)
    heard.start()
    stack.push_async_callback(heard.close)
    tokens, bounds = dapr_tokens(settings), settings.dapr_bounds
    host = await DaprHost.start(
        local, plan.machine, settings.dapr_address, settings.dapr_listen, bounds, tokens, pauses
    )
    stack.push_async_callback(host.close)
    return host


async def _open_server(
    stack: contextlib.AsyncExitStack, settings: Settings, vital: list[asyncio.Task[None]]
) -> NatsServer | None:
    """A stream server of the node's own, unless it is told of one."""
    if settings.nats_urls:
        return None
    server = NatsServer(settings.data_dir / "nats", sync=settings.stream_sync)
    await server.start()
    stack.push_async_callback(server.stop)
    task = asyncio.create_task(keep_running(server), name="nats-server")
    vital.append(task)
    stack.push_async_callback(_cancel, task)
    return server


def _read_grants(path: Path) -> Grants:
    """The grants in the file. Errors: `not_found`, `grants_invalid`."""
    try:
        return parse_grants(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise RelmError(Code.NOT_FOUND, f"name a file of grants that can be read: {error}", path=str(path)) from error
    except UnicodeDecodeError as error:
        raise RelmError(Code.GRANTS_INVALID, "write the grants in UTF-8", path=str(path)) from error


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
