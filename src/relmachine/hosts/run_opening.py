"""The turn that opens a run: gates 1 to 3 let a step begin that is carried out outside its turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from relmachine.errors import Code
from relmachine.gates.port import LawCase
from relmachine.hosts.control_words import ended, refused
from relmachine.kernel.detached import opened
from relmachine.kernel.frozen import freeze
from relmachine.kernel.granting import granted
from relmachine.kernel.joining import without_effect
from relmachine.kernel.verdicts import Refusal, Refused
from relmachine.store.runs import Runs

if TYPE_CHECKING:
    from relmachine.gates.port import LawGate, PolicyGate
    from relmachine.hosts.run_views import RunViews
    from relmachine.kernel.candidate import Candidate
    from relmachine.kernel.limits import Limits
    from relmachine.kernel.proposal import Proposal
    from relmachine.kernel.state import ThreadState
    from relmachine.machine.plan import Plan, StepPlan
    from relmachine.machine.runs import Budget, ThreadBudget
    from relmachine.store.port import Store
    from relmachine.store.spending import Spending

Request = tuple["ThreadState", "Candidate"]


@dataclass(frozen=True, slots=True)
class Opening:
    """Opens runs. What a step would contribute is not known yet: gate 3 decides on its claims, and again at its end."""

    plan: Plan
    limits: Limits
    store: Store
    policy: PolicyGate
    laws: LawGate
    views: RunViews
    bindings: Callable[[StepPlan], tuple[str, str]]
    spending: Spending | None
    """None for whoever decides again what was granted once."""

    async def propose(self, requests: Sequence[Request]) -> list[Proposal]:
        """One proposal for each request, all of different threads: the run is opened, or the step refused."""
        verdicts = await self._verdicts(requests)
        views = await self.views.load([(state, self._step(request)) for state, request in requests])
        left = await self._left([request.thread for _, request in requests])
        proposals: list[Proposal] = []
        for (state, request), verdict, view in zip(requests, verdicts, views, strict=True):
            budget = verdict or granted(self._step(request), left.get(request.thread))
            if isinstance(budget, Refusal):
                proposals.append(without_effect(self.plan, state, Refused(request, budget)))
            elif isinstance(view, Refusal):
                proposals.append(without_effect(self.plan, state, Refused(request, view)))
            else:
                proposals.append(opened(self.plan, state, request, self._frozen(request, budget), view[1]))
        return proposals

    async def _left(self, threads: Sequence[str]) -> Mapping[str, ThreadBudget]:
        """What is left of the threads' budgets, of those that have one."""
        return {} if self.spending is None else await self.spending.left(threads)

    async def _verdicts(self, requests: Sequence[Request]) -> list[Refusal | None]:
        """Closed threads, then gate 2, gate 3, and the bound of runs at once."""
        candidates = [request for _, request in requests]
        denied = await self.policy.decide(candidates)
        unlawful = await self.laws.admit([LawCase(state, [request], [{}]) for state, request in requests])
        counts = await Runs(self.store.deciding).open_count([request.thread for request in candidates])
        return [
            (no.refusal if (no := ended(state, request)) is not None else None)
            or denial
            or verdict
            or self._crowd(request, counts.get(request.thread, 0))
            for (state, request), denial, (verdict,) in zip(requests, denied, unlawful, strict=True)
        ]

    def _crowd(self, request: Candidate, count: int) -> Refusal | None:
        most = self.limits.runs_open_per_thread_max
        if count < most:
            return None
        sentence = f"{count} runs of this thread have not ended: wait for them, or cancel some (`relm thread runs`)"
        return refused(request, Code.LIMIT_EXCEEDED, sentence, runs_open_per_thread_max=most).refusal

    def _step(self, request: Candidate) -> StepPlan:
        return self.plan.steps[self.plan.step_index[request.step]]

    def _frozen(self, request: Candidate, budget: Budget) -> str:
        step = self._step(request)
        model, fallback = self.bindings(step)
        return freeze(self.plan, step, request.step_key, model, fallback, budget).text()
