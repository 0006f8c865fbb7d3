"""What a round decides: gate 2, then engine and constraints until no step's effect would break a law."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from relmachine.engine.turn import Case, Engine
from relmachine.errors import Code, RelmError
from relmachine.gates.port import ConstraintGate, PolicyGate
from relmachine.hosts.stretch import Calm, Stretch
from relmachine.kernel.advance import advance
from relmachine.kernel.held import holding
from relmachine.kernel.verdicts import Admitted, Decided, Refusal, Refused

if TYPE_CHECKING:
    from relmachine.hosts.round_sorting import Turn
    from relmachine.kernel.limits import Limits
    from relmachine.kernel.proposal import Proposal
    from relmachine.machine.plan import Plan


class Deciding:
    """Turns to proposals."""

    def __init__(
        self,
        plan: Plan,
        limits: Limits,
        policy: PolicyGate,
        engine: Engine,
        constraints: ConstraintGate,
        calm: Calm,
    ) -> None:
        self._plan, self._limits, self._calm = plan, limits, calm
        self._policy, self._engine, self._constraints = policy, engine, constraints

    async def propose(self, turns: Sequence[Turn]) -> list[Proposal]:
        """Decide, advance, and decide again without the steps whose effect would break a law of the fibers.

        Errors: `limit_exceeded` when that has no end.
        """
        denied = await self._denied(turns)
        withdrawn: list[dict[int, Refusal]] = [{} for _ in turns]
        for _ in range(self._limits.reruns_per_turn_max):
            proposals = await self._decide(turns, denied, withdrawn)
            broken = await self._constraints.check(proposals)
            if not any(broken):
                return proposals
            for known, new in zip(withdrawn, broken, strict=True):
                known.update(new)
        raise RelmError(
            Code.LIMIT_EXCEEDED,
            "the machine's laws refuse what its own steps do: run `relm check` on it",
            reruns_per_turn_max=self._limits.reruns_per_turn_max,
        )

    async def _denied(self, turns: Sequence[Turn]) -> list[dict[int, Refusal]]:
        fresh = [step for turn in turns for step in turn.sorted.fresh]
        verdicts = iter(await self._policy.decide(fresh))
        return [
            {step.sequence: refusal for step in turn.sorted.fresh if (refusal := next(verdicts)) is not None}
            for turn in turns
        ]

    async def _decide(
        self,
        turns: Sequence[Turn],
        denied: Sequence[Mapping[int, Refusal]],
        withdrawn: Sequence[Mapping[int, Refusal]],
    ) -> list[Proposal]:
        cases = [
            Case(
                state=turn.state,
                steps=[step for step in turn.sorted.fresh if step.sequence not in refused],
                values=turn.values,
                seen=turn.seen,
                withdrawn=taken,
            )
            for turn, refused, taken in zip(turns, denied, withdrawn, strict=True)
        ]
        outcomes = await self._engine.decide(cases)
        plan, held_max = self._plan, self._limits.held_per_thread_max
        proposals: list[Proposal] = []
        stretch = Stretch(self._calm)
        for turn, refused, case, decided in zip(turns, denied, cases, outcomes, strict=True):
            ordered = holding(plan, turn.state, _in_order(turn, refused, case, decided), held_max)
            proposals.append(advance(plan, turn.state, ordered))
            await stretch.let_others_in()
        return proposals


def _in_order(
    turn: Turn, denied: Mapping[int, Refusal], case: Case, outcomes: Sequence[Admitted | Refused]
) -> list[Decided]:
    """All outcomes of a turn in subject order, up to the first step that was left for the next turn."""
    decided: dict[int, Decided] = dict(turn.sorted.decided)
    decided.update(
        (step.sequence, Refused(step, denied[step.sequence])) for step in turn.sorted.fresh if step.sequence in denied
    )
    decided.update((item.candidate.sequence, item) for item in outcomes)
    undecided = case.steps[len(outcomes)].sequence if len(outcomes) < len(case.steps) else None
    return [decided[seq] for seq in sorted(decided) if undecided is None or seq < undecided]
