"""The parts of a node that take turns: from the hints of the stream to rounds, and on to the feeds."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from relmachine.hosts.assembly import Gates, assemble
from relmachine.hosts.dispatcher import Dispatcher
from relmachine.hosts.heard import Heard
from relmachine.hosts.lane_effects import OnEffect
from relmachine.hosts.local import LocalHost
from relmachine.hosts.pauses import Pauses
from relmachine.hosts.relay import Relay
from relmachine.hosts.round import Rounds
from relmachine.node.run_parts import dapr_tokens, open_runs
from relmachine.stream.outlet import Outlet

if TYPE_CHECKING:
    from relmachine.hosts.dapr import DaprHost
    from relmachine.hosts.runner import Runner
    from relmachine.hosts.telemetry import Telemetry
    from relmachine.kernel.limits import Limits
    from relmachine.machine.plan import Plan
    from relmachine.node.settings import Settings
    from relmachine.store.port import Store
    from relmachine.stream.nats import NatsStream


@dataclass(frozen=True, slots=True)
class TurnParts:
    """`effects` hears what the control lane did to threads that have turns here."""

    relay: Relay
    runner: Runner | None
    pauses: Pauses
    rounds: Rounds
    local: LocalHost
    dispatcher: Dispatcher
    effects: OnEffect


async def open_turns(
    stack: contextlib.AsyncExitStack,
    plan: Plan,
    settings: Settings,
    limits: Limits,
    store: Store,
    stream: NatsStream,
    gates: Gates,
    telemetry: Telemetry,
) -> TurnParts:
    """The parts; `stack` closes them. Errors: `unreachable` when the node is not placed among the others."""
    relay = Relay(store, Outlet(stream.feeds, stream.publisher))
    stack.push_async_callback(relay.close)
    runs = open_runs(stack, plan, store, stream, limits, settings, telemetry)
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
    effects = OnEffect(stages.hot, pauses, host)
    if runs.runner is not None:
        effects.listeners.append(runs.runner.heard)
    return TurnParts(relay, runs.runner, pauses, rounds, local, dispatcher, effects)


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
