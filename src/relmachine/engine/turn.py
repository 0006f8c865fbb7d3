"""Gate 3 and the run of computed steps, woven together until nothing changes.

A computed step is decided in two parts: its claims before it runs, the values it wrote after. When a step fails or its
values are refused, only the steps that have it in their causal past are decided and run again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from relmachine.engine.graph import run_tiers
from relmachine.engine.job import Job
from relmachine.engine.own_laws import Judged
from relmachine.gates.own_law_scene import Sighting
from relmachine.gates.port import LawCase, LawGate, OwnLawCase, OwnLawGate
from relmachine.kernel.answer import FollowUp
from relmachine.kernel.candidate import Candidate, Contributions
from relmachine.kernel.folds import FieldFold
from relmachine.kernel.limits import Limits
from relmachine.kernel.state import ThreadState
from relmachine.kernel.verdicts import Admitted, Refusal, Refused
from relmachine.machine.plan import Plan, Reducer


@dataclass(frozen=True, slots=True)
class Case:
    """One thread's new steps that passed gates 1 and 2, in subject order.

    `values` holds, for the fields that computed steps read, the fold of every contribution so far. Nobody adds to them.
    `withdrawn` are refusals known beforehand, by stream sequence. `seen` are the thread's events that laws of the
    author's own may see, in subject order.
    """

    state: ThreadState
    steps: Sequence[Candidate]
    values: Mapping[str, FieldFold] = field(default_factory=dict[str, FieldFold])
    withdrawn: Mapping[int, Refusal] = field(default_factory=dict[int, Refusal])
    seen: Sequence[Sighting] = ()


class Engine:
    """Decides and runs the steps of many threads together."""

    def __init__(self, plan: Plan, laws: LawGate, limits: Limits, own_laws: OwnLawGate | None = None) -> None:
        """`own_laws` is asked when the plan has laws of its author's own."""
        assert own_laws is not None or not plan.own_laws, "nobody would judge by the laws of the author's own"
        self._plan, self._laws, self._limits = plan, laws, limits
        self._own_laws = own_laws if plan.own_laws else None

    async def decide(self, cases: Sequence[Case]) -> list[list[Admitted | Refused]]:
        """For each case the outcome of its steps, in order.

        The answer may cover only a prefix of a case's steps (never an empty one) when outputs kept changing each
        other's admission for `Limits.reruns_per_turn_max` passes: the rest is decided in the next turn.
        """
        trials = [_Trial(self._plan, case) for case in cases]
        await self._admit(trials)
        for _ in range(self._limits.reruns_per_turn_max):
            jobs = [trial.job() for trial in trials if trial.pending()]
            if jobs:
                await asyncio.to_thread(run_tiers, jobs)
                await self._admit(trials)
            elif changed := await self._judge(trials):
                await self._admit(changed)
            else:
                break
        else:  # what is decided so far is judged, so that the answer is not empty
            await self._admit(await self._judge(trials))
        return [trial.outcomes() for trial in trials]

    async def _admit(self, trials: Sequence[_Trial]) -> None:
        """Ask gate 3 with all that is known now. Outputs count only when it has seen them."""
        if not trials:
            return
        verdicts = await self._laws.admit([trial.law_case() for trial in trials])
        for trial, verdict in zip(trials, verdicts, strict=True):
            trial.learn(verdict)

    async def _judge(self, trials: Sequence[_Trial]) -> list[_Trial]:
        """Ask the author's own laws about steps that all else lets pass. The trials in which one of them is refused."""
        if self._own_laws is None:
            return []
        asked = [(trial, trial.own_law_cases()) for trial in trials]
        answers = iter(await self._own_laws.judge([case for _, cases in asked for case in cases]))
        return [trial for trial, cases in asked if cases and trial.judged([next(answers) for _ in cases])]


class _Trial:
    """One case on its way to a decision."""

    def __init__(self, plan: Plan, case: Case) -> None:
        self.plan, self.case = plan, case
        self.types = [plan.steps[plan.step_index[step.step]] for step in case.steps]
        self.outputs: dict[int, Contributions] = {
            index: step.recorded
            for index, (step, kind) in enumerate(zip(case.steps, self.types, strict=True))
            if not kind.computed
        }
        self.follow_ups: dict[int, tuple[FollowUp, ...]] = {}
        self.failures: dict[int, Refusal] = {
            index: case.withdrawn[step.sequence]
            for index, step in enumerate(case.steps)
            if step.sequence in case.withdrawn
        }
        self.verdicts: list[Refusal | None] = []
        guarded = frozenset(name for law in plan.own_laws for name in law.guards)
        self.own_laws = Judged(plan, case.state, case.steps, case.seen, guarded) if guarded else None
        self.broken: Mapping[int, Refusal] = {} if self.own_laws is None else self.own_laws.broken

    def law_case(self) -> LawCase:
        """What gate 3 is asked, with the outputs known so far."""
        return LawCase(
            state=self.case.state,
            steps=self.case.steps,
            once_values=[self._once_values(index) for index in range(len(self.case.steps))],
            withdrawn=frozenset(self.case.steps[index].sequence for index in (*self.failures, *self.broken)),
        )

    def _once_values(self, index: int) -> Mapping[str, str]:
        written = self.outputs.get(index, ())
        return {name: value for name, value in written if self.plan.fields[name].reducer is Reducer.ONCE}

    def learn(self, verdicts: Sequence[Refusal | None]) -> None:
        """Take new verdicts; outputs that rested on a changed one are forgotten."""
        before, self.verdicts = self.verdicts, list(verdicts)
        if not before:
            return
        for index, (old, new) in enumerate(zip(before, verdicts, strict=True)):
            if (old is None) != (new is None):
                self._forget_after(index)

    def _forget_after(self, changed: int) -> None:
        touched = self.plan.dependent[self.types[changed].index]
        for index in range(changed + 1, len(self.types)):
            kind = self.types[index]
            if touched >> kind.index & 1:
                touched |= self.plan.dependent[kind.index]
                if kind.computed:
                    self.outputs.pop(index, None)
                    if self.case.steps[index].sequence not in self.case.withdrawn:
                        self.failures.pop(index, None)

    def own_law_cases(self) -> list[OwnLawCase]:
        """What the author's own laws are to be asked now."""
        return [] if self.own_laws is None else list(self.own_laws.cases(self._settled(), self.outputs))

    def judged(self, verdicts: Sequence[Refusal | None]) -> bool:
        """Take the answers; whether a step is refused now. What rested on it is forgotten."""
        assert self.own_laws is not None
        known = set(self.broken)
        first = self.own_laws.learn(self._settled(), verdicts)
        for index in self.broken.keys() - known:
            self._forget_after(index)
        return first is not None

    def _settled(self) -> list[int]:
        """The steps that nothing speaks against, up to the first that is still to run."""
        admitted = (index for index in range(len(self.types)) if self.admitted(index))
        return list(takewhile(self.outputs.__contains__, admitted))

    def admitted(self, index: int) -> bool:
        """Whether nothing known speaks against the step."""
        return self.verdicts[index] is None and index not in self.failures and index not in self.broken

    def pending(self) -> bool:
        """Whether an admitted step has still to run."""
        return any(self.admitted(index) and index not in self.outputs for index in range(len(self.types)))

    def job(self) -> Job:
        """The admitted steps for the graph to run."""
        return Job(
            plan=self.plan,
            state=self.case.state,
            history_values=self.case.values,
            steps=self.case.steps,
            order=[index for index in range(len(self.types)) if self.admitted(index)],
            outputs=self.outputs,
            follow_ups=self.follow_ups,
            failures=self.failures,
        )

    def outcomes(self) -> list[Admitted | Refused]:
        """The decisions, up to the first step that is still pending."""
        decided: list[Admitted | Refused] = []
        for index, step in enumerate(self.case.steps):
            refusal = self.broken.get(index) or self.failures.get(index) or self.verdicts[index]
            if refusal is not None:
                decided.append(Refused(step, refusal))
            elif index in self.outputs and not self._open(index):
                decided.append(Admitted(step, self.outputs[index], self.follow_ups.get(index, ())))
            else:
                break
        return decided

    def _open(self, index: int) -> bool:
        """Whether laws of the author's own have still to be asked about the step."""
        return self.own_laws is not None and bool(self.own_laws.open([index]))
