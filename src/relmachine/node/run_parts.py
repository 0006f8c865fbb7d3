"""The parts of a node that carry out steps outside their turns, opened when the machine has such steps."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from relmachine.hosts.assembly import declared
from relmachine.hosts.dapr_tokens import DaprTokens
from relmachine.hosts.run_attempt import Attempts
from relmachine.hosts.run_places import Here, RunPlaces
from relmachine.hosts.run_views import RunViews
from relmachine.hosts.runner import Runner
from relmachine.hosts.values import HotValues
from relmachine.store.runs import Runs
from relmachine.stream.whereabouts import Whereabouts

if TYPE_CHECKING:
    from relmachine.hosts.telemetry import Telemetry
    from relmachine.kernel.detached import OpenRun
    from relmachine.kernel.limits import Limits
    from relmachine.machine.plan import Plan, StepPlan
    from relmachine.node.settings import Settings
    from relmachine.store.port import Store
    from relmachine.stream.nats import NatsStream


@dataclass(frozen=True, slots=True)
class RunParts:
    """Who carries out runs, None for a machine without any, and what the models of a step are bound to."""

    runner: Runner | None = None
    bindings: Callable[[StepPlan], tuple[str, str]] = declared


def open_runs(
    stack: contextlib.AsyncExitStack,
    plan: Plan,
    store: Store,
    stream: NatsStream,
    limits: Limits,
    settings: Settings,
    telemetry: Telemetry,
) -> RunParts:
    """The parts; `stack` closes them."""
    if not any(step.detached for step in plan.steps):
        return RunParts()
    # PydanticAI takes over a second to import.
    from relmachine.engine.models import Models
    from relmachine.engine.runs.carrier import RunCarrier
    from relmachine.engine.tools.process import ToolProcesses

    carrier = RunCarrier(plan, Models(plan.models, settings.node_models), ToolProcesses(), limits)
    views = RunViews(plan, HotValues(plan, store, limits.runs_in_flight_max))
    attempts = Attempts(plan, limits, store, stream.reader, stream.publisher, views, carrier, telemetry)
    others = Whereabouts(stream.connection, stream.topology, store.store_id) if settings.store_urls else None
    runner = Runner(Runs(store.deciding), attempts, limits, others, _places(plan, settings))
    stack.push_async_callback(runner.close)
    return RunParts(runner, carrier.bindings)


def dapr_tokens(settings: Settings) -> DaprTokens:
    """What the node and its sidecar show each other."""
    secrets = (settings.dapr_api_token, settings.dapr_app_token)
    return DaprTokens(*(None if secret is None else secret.get_secret_value() for secret in secrets))


def _places(plan: Plan, settings: Settings) -> RunPlaces:
    """Durable runs wherever the sidecars say, when there is a sidecar and any step is durable; else here."""

    def durable(run: OpenRun) -> bool:
        step = plan.steps[plan.step_index[run.candidate.step]]
        return step.run is not None and step.run.durable

    if settings.dapr_address is None or not any(step.run is not None and step.run.durable for step in plan.steps):
        return Here()
    from relmachine.hosts.dapr_workflow import SidecarWorkflows  # its client comes with the extra "cluster"

    return SidecarWorkflows(settings.dapr_address, durable, settings.dapr_bounds, dapr_tokens(settings))
