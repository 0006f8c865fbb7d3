"""Gate 3, constraints: whatever a round of turns would write for the first time keeps the laws of math.md section 5.

Fibers and pairs of fibers are asked about once, their verdicts cached by content; order and sections are asked about
in every round. One solve answers for the whole round, in a worker thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar, cast

from relmachine.algebra.fibers import Fiber
from relmachine.gates.constraint_checks import named
from relmachine.gates.constraint_first_seen import FirstSeen, Pair, Verdicts
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


_Broken = tuple[int, int, Refusal]  # the turn, the step's place in it, why it is refused
_Unknown = tuple[int, int, Fiber, Fiber]  # the turn, the step's place in it, the fibers after and before it
_UNSEEN = object()


class ConstraintChecker:
    """`gates.port.ConstraintGate` by ASP.

    Of each turn only the first step on which a law breaks is refused: whether a later one breaks it may depend on that
    step, so the turn is decided again without it. `solves` counts calls of the solver, `asked` fibers and pairs given
    to it.
    """

    def __init__(self, plan: Plan, limits: Limits, verdicts_max: int = VERDICTS_MAX) -> None:
        self._plan, self._limits, self._verdicts_max = plan, limits, verdicts_max
        self._once = frozenset(name for name, field in plan.fields.items() if field.reducer is Reducer.ONCE)
        self._whole = fiber_of(plan, (1 << len(plan.claims)) - 1)
        self._fibers: dict[str, Refusal | None] = {}
        self._pairs: dict[Pair, Refusal | None] = {}
        self._learning = asyncio.Lock()
        self.solves = 0
        self.asked = 0

    async def check(self, proposals: Sequence[Proposal]) -> Sequence[Mapping[int, Refusal]]:
        """For each proposal the refusal of its first step that breaks a law, by stream sequence; empty when none."""
        broken, unknown = self._seen(proposals)
        if unknown:
            async with self._learning:  # what another round asks about just now is known afterwards
                broken = await self._judged(proposals, *self._seen(proposals))
        elif any(proposal.events for proposal in proposals):
            broken = await self._judged(proposals, broken, unknown)
        refusals: list[dict[int, Refusal]] = [{} for _ in proposals]
        for turn, place, reason in sorted(broken, key=lambda item: item[:2]):
            if not refusals[turn]:
                refusals[turn][proposals[turn].thread_events[place].seq] = reason
        return refusals

    async def _judged(
        self, proposals: Sequence[Proposal], broken: list[_Broken], unknown: Sequence[_Unknown]
    ) -> list[_Broken]:
        """What is `broken` already, and what the solver finds besides."""
        self.solves += 1
        first_seen, known = self._first_seen(unknown)
        turns, verdicts = await asyncio.to_thread(self._ask, proposals, first_seen)
        return [*broken, *turns, *self._learn(unknown, known, verdicts)]

    def _seen(self, proposals: Sequence[Proposal]) -> tuple[list[_Broken], list[_Unknown]]:
        """What is known to be refused, and what is not known. The common case is one look-up per change of fiber."""
        broken: list[_Broken] = []
        unknown: list[_Unknown] = []
        plan, pairs = self._plan, self._pairs
        for turn, proposal in enumerate(proposals):
            before = proposal.before.asserted
            for place, after in enumerate(proposal.fibers):
                if after == before:
                    continue  # the same fiber: its restriction is the identity
                later, earlier = fiber_of(plan, after), fiber_of(plan, before)
                verdict = pairs.get((later.fiber_id, earlier.fiber_id), _UNSEEN)
                if verdict is _UNSEEN:
                    unknown.append((turn, place, later, earlier))
                elif verdict is not None:
                    broken.append((turn, place, cast(Refusal, verdict)))
                before = after
        return broken, unknown

    def _first_seen(self, unknown: Sequence[_Unknown]) -> tuple[FirstSeen, dict[str, Refusal | None]]:
        """What to ask the solver: the pairs, and the fibers they lead to unless known; and what is known of these."""
        first_seen = FirstSeen(self._limits.fiber_table_elements_max)
        known: dict[str, Refusal | None] = {}
        for _, _, later, earlier in unknown:
            first_seen.ask_pair(later, earlier)
            if later.fiber_id in self._fibers:
                known[later.fiber_id] = self._fibers[later.fiber_id]
            else:
                first_seen.ask_fiber(later)
                first_seen.ask_pair(self._whole, later)
        self.asked += len(first_seen)
        return first_seen, known

    def _ask(self, proposals: Sequence[Proposal], first_seen: FirstSeen) -> tuple[list[_Broken], Verdicts]:
        """The one solve: what turns break, and the verdicts on fibers and pairs. Touches nothing of the checker."""
        programs, facts = first_seen.programs_and_facts() if first_seen else ((), "")
        turns = TurnFacts(proposals, self._once, first_seen.last_number + 1)
        found = solve((*TURN_PROGRAMS, *programs), facts + turns.text)
        broken = [_refused(proposals, turns, item) for item in found if item.subject > first_seen.last_number]
        return broken, first_seen.verdicts(found)

    def _learn(
        self, unknown: Sequence[_Unknown], known: Mapping[str, Refusal | None], verdicts: Verdicts
    ) -> list[_Broken]:
        """Remember the verdicts. That on a pair holds all that a step across it must know, the later fiber included."""
        broken: list[_Broken] = []
        for turn, place, later, earlier in unknown:
            fiber, pair = later.fiber_id, (later.fiber_id, earlier.fiber_id)
            alone = known[fiber] if fiber in known else verdicts[fiber] or verdicts[self._whole.fiber_id, fiber]
            verdict = alone or verdicts[pair]
            _remember(self._fibers, fiber, alone, self._verdicts_max)
            _remember(self._pairs, pair, verdict, self._verdicts_max)
            if verdict is not None:
                broken.append((turn, place, verdict))
        return broken


def _refused(proposals: Sequence[Proposal], turns: TurnFacts, found: Found) -> _Broken:
    turn, place = turns.place(found.subject)
    event, history = proposals[turn].events[place].event_id, proposals[turn].histories[place].history_id
    violation = named(found, place, lambda number: number, turns.name)
    return turn, place, refusal(violation, event=event, history=history)


def _remember(verdicts: dict[_Key, Refusal | None], key: _Key, verdict: Refusal | None, verdicts_max: int) -> None:
    verdicts[key] = verdict
    while len(verdicts) > verdicts_max:
        del verdicts[next(iter(verdicts))]
