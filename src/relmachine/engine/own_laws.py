"""Laws of the author's own about one case: which steps are to be judged, and what they are judged by."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from relmachine.gates.own_law_scene import Scene, Sighting
from relmachine.gates.port import OwnLawCase
from relmachine.kernel.advance import advance
from relmachine.kernel.candidate import Candidate, Contributions
from relmachine.kernel.state import ThreadState
from relmachine.kernel.verdicts import Admitted, Refusal
from relmachine.machine.plan import Plan


@dataclass(slots=True)
class Judged:
    """What is known of a case's steps: those that break a law, and those that every law lets pass, by index.

    Both are final. A step is judged when everything before it that admission lets pass is there; when it breaks a law
    and nothing that it comes after does, no later verdict changes what it was judged by.
    """

    plan: Plan
    state: ThreadState
    steps: Sequence[Candidate]
    seen: Sequence[Sighting]
    guarded: frozenset[str]
    broken: dict[int, Refusal] = field(default_factory=dict[int, Refusal])
    clear: set[int] = field(default_factory=set[int])

    def open(self, admitted: Sequence[int]) -> list[int]:
        """Of the steps that admission lets pass, those that laws guard and that are not judged."""
        return [index for index in admitted if self.steps[index].step in self.guarded and index not in self.clear]

    def cases(self, admitted: Sequence[int], outputs: Mapping[int, Contributions]) -> Iterator[OwnLawCase]:
        """The cases of the steps that are `open`, in order."""
        asked = set(self.open(admitted))
        past = list(self.seen)
        asserted, standing, vetoed = self.state.asserted, self.state.standing, self.state.vetoed
        for place, index in enumerate(admitted):
            step = self.steps[index]
            kind = self.plan.steps[self.plan.step_index[step.step]]
            if index in asked:
                scene = Scene(step, outputs[index], tuple(past), asserted, standing, vetoed)
                yield OwnLawCase(scene, self._ids(tuple(admitted[:place]), outputs))
            past.append(Sighting(step.step, "", step.principal, outputs[index]))
            asserted |= kind.asserts
            standing = (standing | kind.asserts) & ~kind.contests
            vetoed |= kind.vetoes

    def learn(self, admitted: Sequence[int], verdicts: Sequence[Refusal | None]) -> int | None:
        """Take the verdicts on the steps that were `open`. The first step that breaks a law now, None when none does.

        What comes after a step that breaks one now, admitted or not, may be decided otherwise without it: no verdict on
        that is taken. By induction all else is final, since a verdict depends on earlier dependent steps alone.
        """
        verdict_of = dict(zip(self.open(admitted), verdicts, strict=True))
        first: int | None = None
        after = 0
        for index, step in enumerate(self.steps):
            kind = self.plan.step_index[step.step]
            if after >> kind & 1:
                after |= self.plan.dependent[kind]
            elif (refusal := verdict_of.get(index)) is not None:
                self.broken[index] = refusal
                after |= self.plan.dependent[kind]
                first = index if first is None else first
            elif index in verdict_of:
                self.clear.add(index)
        return first

    def _ids(self, before: Sequence[int], outputs: Mapping[int, Contributions]) -> Callable[[], Sequence[str]]:
        written = {index: outputs[index] for index in before}

        def ids() -> Sequence[str]:
            decided = [Admitted(self.steps[index], written[index]) for index in before]
            events = advance(self.plan, self.state, decided).events
            return [*(event.event for event in self.seen), *(event.event_id for event in events)]

        return ids
