"""The parts of a node that carry out steps outside their turns, opened when the machine has such steps."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from relmachine.hosts.assembly import declared
from relmachine.hosts.run_attempt import Attempts
from relmachine.hosts.run_views import RunViews
from relmachine.hosts.runner import Runner
from relmachine.hosts.values import HotValues
from relmachine.store.runs import Runs

if TYPE_CHECKING:
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
    stack: contextlib.AsyncExitStack, plan: Plan, store: Store, stream: NatsStream, limits: Limits, settings: Settings
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
    attempts = Attempts(plan, limits, store, stream.reader, stream.publisher, views, carrier)
    runner = Runner(Runs(store.deciding), attempts, limits, shared=bool(settings.store_urls))
    stack.push_async_callback(runner.close)
    return RunParts(runner, carrier.bindings)
