"""The stages of a round: the parts that it calls, in the order in which it calls them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from relmachine.hosts.pauses import Pauses

if TYPE_CHECKING:
    from relmachine.engine.turn import Engine
    from relmachine.gates.port import ConstraintGate, PolicyGate
    from relmachine.gates.shape import ShapeGate
    from relmachine.hosts.control_turns import ControlTurns
    from relmachine.hosts.relay import Relay
    from relmachine.hosts.run_turns import RunTurns
    from relmachine.hosts.sightings import HotSightings
    from relmachine.hosts.telemetry import Telemetry
    from relmachine.hosts.threads import HotThreads
    from relmachine.hosts.values import HotValues
    from relmachine.kernel.limits import Limits
    from relmachine.kernel.proposal import Proposal
    from relmachine.machine.plan import Plan
    from relmachine.store.port import Store
    from relmachine.stream.port import Reader


@dataclass(frozen=True, slots=True)
class Stages:
    """What a round is made of."""

    plan: Plan
    limits: Limits
    hot: HotThreads
    values: HotValues
    reader: Reader
    shape: ShapeGate
    store: Store
    policy: PolicyGate
    engine: Engine
    constraints: ConstraintGate
    relay: Relay
    controls: ControlTurns
    runs: RunTurns
    sightings: HotSightings | None = None
    """Needed when the plan has laws of its author's own."""
    runner: Following | None = None
    """Carries out the runs that turns open; a replay has none."""
    telemetry: Telemetry | None = None
    """Told of what is durable; whoever decides something again has none."""
    pauses: Pauses = field(default_factory=Pauses)


class Following(Protocol):
    """Who carries out runs."""

    def follow(self, proposals: Iterable[Proposal]) -> None:
        """These turns, which opened or answered runs, are durable."""
        ...
