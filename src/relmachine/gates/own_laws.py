"""Gate 3, laws of the author's own: one solve judges many steps of many threads, in a process that can be killed.

Cases go in batches. A batch that uses up a limit is asked case by case, so that only a case that uses it up alone is
refused for it; what ends the worker from outside refuses nobody. What a step that runs outside its turn gives is judged
within the solver seconds of its budget, where they are less than the limit. A law that calculates is asked case by
case: in which order the solver joins depends on all facts it has, and so does what it comes upon that it cannot
calculate.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from relmachine.errors import Code, RelmError
from relmachine.gates.own_law_facts import Sight, facts, sights
from relmachine.gates.own_law_past import beyond
from relmachine.gates.own_law_process import Excess, Gone, LawProcess, Violations
from relmachine.gates.own_law_terms import NoNumberError
from relmachine.gates.own_law_words import broken, exceeded, unspeakable
from relmachine.gates.port import OwnLawCase
from relmachine.kernel.limits import Limits
from relmachine.kernel.verdicts import Refusal
from relmachine.machine.plan import Plan

ATTEMPTS = 2
"""How often a case is asked alone that the worker did not survive."""


class _Asked(NamedTuple):
    """A case for one law: its place among the cases, and its facts, which bear that number."""

    place: int
    text: str
    facts: int
    cpu_seconds: float


class OwnLaws:
    """`gates.port.OwnLawGate`. `batches` counts what the worker was asked."""

    def __init__(self, plan: Plan, limits: Limits, process: LawProcess | None = None) -> None:
        """`process` is one that others ask too."""
        self._limits = limits
        self._granted = {
            step.name: step.run.budget.solver_seconds
            for step in plan.steps
            if step.run is not None and step.run.budget.solver_seconds < limits.own_law_cpu_seconds_max
        }
        self._process = process or LawProcess(limits)
        self._sights = sights(plan)
        self.batches = 0

    @property
    def pid(self) -> int | None:
        """The worker's process, when there is one."""
        return self._process.pid

    def close(self) -> None:
        """End the worker."""
        self._process.close()

    async def judge(self, cases: Sequence[OwnLawCase]) -> Sequence[Refusal | None]:
        """For each case the refusal of the first law, by name, that it breaks or takes beyond a limit.

        Errors: `unreachable` when the worker was ended from outside, or did not get to run, again and again.
        """
        return await asyncio.to_thread(self.decide, cases)

    def decide(self, cases: Sequence[OwnLawCase]) -> Sequence[Refusal | None]:
        """`judge`, in the calling thread."""
        refusals: list[Refusal | None] = [None] * len(cases)
        for sight in self._sights:
            places = [
                place
                for place, case in enumerate(cases)
                if refusals[place] is None and case.scene.step.step in sight.law.guards
            ]
            for place, refusal in self._by_law(sight, cases, places):
                refusals[place] = refusal
        return refusals

    def _by_law(
        self, sight: Sight, cases: Sequence[OwnLawCase], places: Sequence[int]
    ) -> Iterator[tuple[int, Refusal]]:
        batch: list[_Asked] = []
        for place in places:
            if (limit := beyond(sight, cases[place].scene, self._limits)) is not None:
                yield place, exceeded(sight, cases[place].scene, limit, getattr(self._limits, limit))
                continue
            try:
                lines = facts(sight, cases[place].scene, place)
            except NoNumberError as error:
                yield place, unspeakable(sight, cases[place].scene, error)
                continue
            seconds = self._granted.get(cases[place].scene.step.step, self._limits.own_law_cpu_seconds_max)
            asked = _Asked(place, "".join(lines), len(lines), seconds)
            excess = self._beyond(asked)
            if excess:
                yield place, exceeded(sight, cases[place].scene, *excess)
                continue
            if batch and (sight.lifted.calculates or self._full(batch, asked)):
                yield from self._verdicts(sight, cases, batch)
                batch = []
            batch.append(asked)
        yield from self._verdicts(sight, cases, batch)

    def _beyond(self, asked: _Asked) -> tuple[str, float] | None:
        """The limit that a case's facts alone are beyond."""
        if asked.facts > self._limits.own_law_facts_max:
            return "own_law_facts_max", self._limits.own_law_facts_max
        if len(asked.text) > self._limits.own_law_facts_bytes_max:
            return "own_law_facts_bytes_max", self._limits.own_law_facts_bytes_max
        return None

    def _full(self, batch: Sequence[_Asked], more: _Asked) -> bool:
        return (
            len(batch) >= self._limits.own_law_cases_max
            or sum(one.facts for one in batch) + more.facts > self._limits.own_law_facts_max
            or sum(len(one.text) for one in batch) + len(more.text) > self._limits.own_law_facts_bytes_max
        )

    def _verdicts(
        self, sight: Sight, cases: Sequence[OwnLawCase], batch: Sequence[_Asked]
    ) -> Iterator[tuple[int, Refusal]]:
        if not batch:
            return
        answer = self._ask(sight, batch)
        if not isinstance(answer, Mapping):
            if len(batch) > 1:
                for one in batch:
                    yield from self._verdicts(sight, cases, [one])
                return
            answer = self._alone(sight, batch, answer)
        (first, *_) = batch
        if isinstance(answer, Excess):
            name, value = self._limit(answer, first)
            yield first.place, exceeded(sight, cases[first.place].scene, name, value)
            return
        for place, violations in answer.items():
            yield place, broken(sight, cases[place], violations)

    def _alone(self, sight: Sight, batch: Sequence[_Asked], answer: Excess | Gone) -> Mapping[int, Violations] | Excess:
        """The last word on a lone case. Errors: `unreachable`."""
        for _ in range(1, ATTEMPTS):
            if answer in (Excess.CPU, Excess.MEMORY, Excess.NUMBERS):
                break
            found = self._ask(sight, batch)
            if isinstance(found, Mapping):
                return found
            answer = found
        if isinstance(answer, Gone):
            sentence = f"law {sight.law.name!r} could not be asked, its process was {answer}: the turn is taken again"
            raise RelmError(Code.UNREACHABLE, sentence, law=sight.law.name)
        return answer

    def _ask(self, sight: Sight, batch: Sequence[_Asked]) -> Mapping[int, Violations] | Excess | Gone:
        self.batches += 1
        text = sight.lifted.text + "\n" + "".join(one.text for one in batch)
        return self._process.ask(text, min(one.cpu_seconds for one in batch))

    def _limit(self, excess: Excess, asked: _Asked) -> tuple[str, float | None]:
        match excess:
            case Excess.CPU if asked.cpu_seconds < self._limits.own_law_cpu_seconds_max:
                return "solver_seconds", asked.cpu_seconds
            case Excess.CPU:
                return "own_law_cpu_seconds_max", self._limits.own_law_cpu_seconds_max
            case Excess.MEMORY:
                return "own_law_memory_bytes_max", self._limits.own_law_memory_bytes_max
            case Excess.CRASH | Excess.NUMBERS:
                return excess.value, None
