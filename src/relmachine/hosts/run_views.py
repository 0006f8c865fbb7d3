"""What steps that run outside their turn see of their threads now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from relmachine.errors import RelmError
from relmachine.kernel.verdicts import GateName, Refusal
from relmachine.kernel.views import view_digest, view_of
from relmachine.machine.plan import Reducer

if TYPE_CHECKING:
    from relmachine.hosts.values import HotValues
    from relmachine.kernel.state import ThreadState
    from relmachine.machine.plan import Plan, StepPlan
    from relmachine.machine.view import View


@dataclass(frozen=True, slots=True)
class RunViews:
    """Views on the heads of threads."""

    plan: Plan
    values: HotValues

    async def load(self, asked: Sequence[tuple[ThreadState, StepPlan]]) -> list[tuple[View, str] | Refusal]:
        """For each step of a thread of its own its view and the view's digest, or why it has none (a sum beyond what a
        number carries).
        """
        fields = self.plan.fields
        wanted = {
            state.thread: (
                state,
                frozenset(name for name in step.read_fields if fields[name].reducer is not Reducer.ONCE),
            )
            for state, step in asked
        }
        folds = await self.values.load({thread: item for thread, item in wanted.items() if item[1]})
        found: list[tuple[View, str] | Refusal] = []
        for state, step in asked:
            try:
                view = view_of(self.plan, step, state, folds.get(state.thread, {}))
                found.append((view, view_digest(self.plan, step, state, view)))
            except RelmError as error:
                found.append(Refusal(error.code, GateName.ENGINE, error.sentence, dict(error.witness)))
        return found
