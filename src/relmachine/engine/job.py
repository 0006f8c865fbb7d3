"""One thread's admitted steps laid out in tiers, with what their closures may see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from relmachine.algebra.traces import tiers
from relmachine.engine.closure import call
from relmachine.engine.outputs import Taken
from relmachine.kernel.answer import FollowUp
from relmachine.kernel.candidate import Candidate, Contributions
from relmachine.kernel.folds import FieldFold, fold_of
from relmachine.kernel.standing import effective
from relmachine.kernel.state import ThreadState
from relmachine.kernel.verdicts import Refusal
from relmachine.machine.plan import Plan, Reducer, StepPlan


@dataclass(slots=True)
class Job:
    """Runs a case's computed steps. `outputs`, `follow_ups` and `failures` are filled in place, by index into `steps`.

    A closure sees its causal past only. Every step that writes what it reads, or touches a claim it looks at, depends
    on it, so after all earlier tiers have run exactly the right things are there and nothing it reads can still change.
    """

    plan: Plan
    state: ThreadState
    history_values: Mapping[str, FieldFold]
    steps: Sequence[Candidate]
    order: Sequence[int]
    outputs: dict[int, Contributions]
    follow_ups: dict[int, tuple[FollowUp, ...]]
    failures: dict[int, Refusal]
    by_tier: list[list[int]] = field(init=False)
    values: dict[str, FieldFold] = field(init=False)
    own: set[str] = field(init=False, default_factory=set[str])
    watched: frozenset[str] = field(init=False)
    standing: int = field(init=False)
    vetoed: int = field(init=False)
    doubtful: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        ranks = tiers(self.plan.dependent, [self._type(index).index for index in self.order])
        self.by_tier = [[] for _ in range(max(ranks, default=0))]
        for index, rank in zip(self.order, ranks, strict=True):
            self.by_tier[rank - 1].append(index)
        self.watched = frozenset(name for index in self.order for name in self._type(index).read_fields)
        self.values = dict(self.history_values)
        for name, text in self.state.values.items():
            if name in self.watched and (made := fold_of(self.plan.fields[name], [text])) is not None:
                self.values[name] = made
        self.standing, self.vetoed = self.state.standing, self.state.vetoed

    def _type(self, index: int) -> StepPlan:
        return self.plan.steps[self.plan.step_index[self.steps[index].step]]

    def ready(self, tier: int) -> list[int]:
        """Steps of `tier` (from 0) to run now. One that rests on a failure waits for the next pass of gate 3."""
        ready: list[int] = []
        for index in self.by_tier[tier]:
            if index in self.outputs:
                continue
            kind = self._type(index)
            if self.doubtful >> kind.index & 1:
                self.doubtful |= self.plan.dependent[kind.index]
            else:
                ready.append(index)
        return ready

    def run(self, index: int) -> Taken | Refusal:
        """What the step's closure gives, or why it does not. Changes nothing: steps of a tier may run at once."""
        kind = self._type(index)
        seen = {name: self.values[name] for name in kind.read_fields if name in self.values}
        return call(self.plan, kind, self.steps[index], seen, effective(self.plan, self.standing & ~self.vetoed))

    def settle_tier(self, tier: int, results: Mapping[int, Taken | Refusal]) -> None:
        """Take the results of `tier`, then let the next tiers see what its steps did."""
        for index, result in results.items():
            if isinstance(result, Refusal):
                self.failures[index] = result
                self.doubtful |= self.plan.dependent[self._type(index).index]
            else:
                self.outputs[index], self.follow_ups[index] = result
        for index in self.by_tier[tier]:
            if index in self.outputs and index not in self.failures:
                self._apply(index)

    def _apply(self, index: int) -> None:
        kind = self._type(index)
        self.standing = (self.standing | kind.asserts) & ~kind.contests
        self.vetoed |= kind.vetoes
        for name, text in self.outputs[index]:
            if name in self.watched:
                self._contribute(name, text)

    def _contribute(self, name: str, text: str) -> None:
        """Add to the field's fold: what came from the history is shared with later runs, so a copy is added to."""
        known, kind = self.values.get(name), self.plan.fields[name]
        if known is None:
            made = fold_of(kind, [text])
            assert made is not None, "one contribution is enough for a value"
            self.values[name] = made
            self.own.add(name)
        elif kind.reducer is not Reducer.ONCE:
            if name not in self.own:
                self.values[name] = known = known.copy()
                self.own.add(name)
            known.add(text)
