"""The stages of a round, put together from what differs between a node, a replay and a test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from relmachine.engine.turn import Engine
from relmachine.hosts.control_merging import Merging
from relmachine.hosts.control_rules import ControlRules
from relmachine.hosts.control_turns import ControlTurns
from relmachine.hosts.held_releasing import Releasing
from relmachine.hosts.pauses import Pauses
from relmachine.hosts.run_answering import Answering
from relmachine.hosts.run_opening import Opening
from relmachine.hosts.run_turns import RunTurns
from relmachine.hosts.run_views import RunViews
from relmachine.hosts.sightings import HotSightings
from relmachine.hosts.stages import Stages
from relmachine.hosts.threads import HotThreads
from relmachine.hosts.values import HotValues
from relmachine.store.spending import Spending

if TYPE_CHECKING:
    from relmachine.gates.port import ConstraintGate, LawGate, OwnLawGate, PolicyGate
    from relmachine.gates.shape import ShapeGate
    from relmachine.hosts.relay import Relay
    from relmachine.hosts.stages import Following
    from relmachine.hosts.telemetry import Telemetry
    from relmachine.kernel.limits import Limits
    from relmachine.machine.plan import Plan, StepPlan
    from relmachine.store.port import Store
    from relmachine.stream.port import Reader


@dataclass(frozen=True, slots=True)
class Gates:
    """The gates in their order; `own_laws` is needed when the plan has laws of its author's own."""

    shape: ShapeGate
    policy: PolicyGate
    laws: LawGate
    own_laws: OwnLawGate | None
    constraints: ConstraintGate


def declared(step: StepPlan) -> tuple[str, str]:
    """The names of a step's models as declared, for who binds none."""
    assert step.run is not None
    return step.run.model or "", step.run.fallback or ""


def assemble(
    plan: Plan,
    limits: Limits,
    store: Store,
    reader: Reader,
    gates: Gates,
    relay: Relay,
    runner: Following | None = None,
    bindings: Callable[[StepPlan], tuple[str, str]] = declared,
    telemetry: Telemetry | None = None,
    pauses: Pauses | None = None,
    *,
    budgets: bool = True,
) -> Stages:
    """The stages. `bindings` tells what the models of a step are bound to now; `runner` carries out what turns open,
    and `telemetry` is told: neither is there where something is decided again. Nor do the threads' `budgets` count
    there, which the control lane may have raised.
    """
    hot = HotThreads(plan, store, limits.hot_threads_max)
    values = HotValues(plan, store, limits.hot_values_threads_max)
    sightings = HotSightings(plan, store, limits) if plan.own_laws else None
    engine = Engine(plan, gates.laws, limits, gates.own_laws)
    merging = Merging(plan, limits, store, reader, gates.shape, gates.policy, gates.laws, gates.constraints)
    rules = ControlRules(plan, limits, store, reader, gates.policy, merging)
    views = RunViews(plan, values)
    spending = Spending(store.deciding, plan.budget) if budgets else None
    opening = Opening(plan, limits, store, gates.policy, gates.laws, views, bindings, spending)
    answering = Answering(plan, limits, store, engine, gates.constraints, views, sightings)
    releasing = Releasing(plan, store, engine, gates.constraints, values, sightings)
    return Stages(
        plan=plan,
        limits=limits,
        hot=hot,
        values=values,
        reader=reader,
        shape=gates.shape,
        store=store,
        policy=gates.policy,
        engine=engine,
        constraints=gates.constraints,
        relay=relay,
        controls=ControlTurns(plan, gates.shape, store, rules),
        runs=RunTurns(plan, gates.shape, store, opening, answering, releasing),
        sightings=sightings,
        runner=runner,
        telemetry=telemetry,
        pauses=pauses or Pauses(),
    )
