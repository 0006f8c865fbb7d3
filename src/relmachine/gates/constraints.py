"""Gate 3, constraints: whatever a round of turns would write for the first time keeps the laws of math.md section 5.

Fibers and pairs of fibers are asked about once, their verdicts cached by content; order and sections are asked about
in every round. One solve answers for the whole round, in a worker thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from relmachine.algebra.fibers import Fiber
from relmachine.gates.constraint_checks import named
from relmachine.gates.constraint_first_seen import FirstSeen, Pair
from relmachine.gates.constraint_laws import refusal
from relmachine.gates.constraint_programs import Found, solve
from relmachine.gates.constraint_turns import TURN_PROGRAMS, TurnFacts
from relmachine.kernel.limits import Limits
from relmachine.kernel.proposal import Proposal
from relmachine.kernel.standing import fiber_of
from relmachine.kernel.verdicts import Refusal
from relmachine.machine.plan import Plan, Reducer

VERDICTS_MAX = 65_536
"""Verdicts remembered of fibers, and of pairs; the oldest are forgotten and asked about again."""

_Key = TypeVar("_Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class _Unknown:
    """A step that leads from a fiber to another for the first time: its turn, its place there, the two fibers."""

    turn: int
    place: int
    later: Fiber
    earlier: Fiber


class ConstraintChecker:
    """`gates.port.ConstraintGate` by ASP.

    Of each turn only the first step on which a law breaks is refused: whether a later one does may depend on it, so
    the turn is decided again without it. `solves` counts the calls of the solver.
    """

    def __init__(self, plan: Plan, limits: Limits, verdicts_max: int = VERDICTS_MAX) -> None:
        self._plan, self._limits, self._verdicts_max = plan, limits, verdicts_max
        self._once = frozenset(name for name, field in plan.fields.items() if field.reducer is Reducer.ONCE)
        self._whole = fiber_of(plan, (1 << len(plan.claims)) - 1)
        self._fibers: dict[str, Refusal | None] = {}
        self._pairs: dict[Pair, Refusal | None] = {}
        self.solves = 0

    async def check(self, proposals: Sequence[Proposal]) -> Sequence[Mapping[int, Refusal]]:
        """For each proposal the refusal of its first step that breaks a law, by stream sequence; empty when none."""
        broken, unknown = self._seen(proposals)
        if any(proposal.events for proposal in proposals):
            self.solves += 1
            broken += await asyncio.to_thread(self._ask, proposals, unknown)
        refusals: list[dict[int, Refusal]] = [{} for _ in proposals]
        for turn, place, reason in sorted(broken, key=lambda item: item[:2]):
            if not refusals[turn]:
                refusals[turn][proposals[turn].thread_events[place].seq] = reason
        return refusals
