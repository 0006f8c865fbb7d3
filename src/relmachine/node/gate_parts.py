"""The gates that a node's turns ask, each with its time kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relmachine.gates.admission import AdmissionGate
from relmachine.gates.constraints import ConstraintChecker
from relmachine.gates.own_laws import OwnLaws
from relmachine.hosts.assembly import Gates
from relmachine.node.timing import GateTimes, TimedConstraints, TimedLaws, TimedOwnLaws, TimedPolicy, TimedShape

if TYPE_CHECKING:
    import contextlib

    from relmachine.gates.port import PolicyGate
    from relmachine.kernel.limits import Limits
    from relmachine.machine.plan import Plan


def open_gates(
    stack: contextlib.AsyncExitStack, plan: Plan, limits: Limits, policy: PolicyGate, times: GateTimes
) -> Gates:
    """The gates; `stack` closes what they started."""
    return Gates(
        TimedShape(plan, limits, times),
        TimedPolicy(policy, times),
        TimedLaws(AdmissionGate(plan), times),
        _own_laws(stack, plan, limits, times),
        TimedConstraints(ConstraintChecker(plan, limits), times),
    )


def _own_laws(stack: contextlib.AsyncExitStack, plan: Plan, limits: Limits, times: GateTimes) -> TimedOwnLaws | None:
    """What judges by laws of the author's own, when there are any. Its process starts when it is first asked."""
    if not plan.own_laws:
        return None
    laws = OwnLaws(plan, limits)
    stack.callback(laws.close)
    return TimedOwnLaws(laws, times)
