"""What every adapter of the policy port does around its asking: questions, memory, and the wording of refusals."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence

from relmachine.errors import Code
from relmachine.gates.classes import RateMeter, SizeBounds
from relmachine.gates.questions import DENIED, Decision, Question, anywhere
from relmachine.kernel.candidate import Candidate
from relmachine.kernel.verdicts import GateName, Refusal

DECISIONS_REMEMBERED_MAX = 65_536
"""Decisions a policy remembers; the one used least recently is forgotten first."""

ADVICE = {
    "principal": "no grant names this principal",
    "machine": "no grant of it covers this machine",
    "thread": "no grant of it covers this thread",
    "step": "no grant of it covers this step",
    "size": "no grant of it allows payloads of this size: send less",
    "rate": "it publishes too fast: wait a minute and publish under a new id",
    "together": "each condition is met by some grant of it, but all of them by none",
    "undecided": "the policy gave no decision",
}
"""What each reason means, in the sentence of a refusal."""

Ask = Callable[[Sequence[Question]], Awaitable[Sequence[Decision]]]
"""Decisions on different questions, in their order."""


class Deciding:
    """Verdicts on batches of steps of one machine. Decisions are asked for once and remembered."""

    def __init__(
        self, machine: str, revision: str, ask: Ask, meter: RateMeter | None = None, bounds: SizeBounds | None = None
    ) -> None:
        """Without `meter` every rate is normal."""
        self._machine, self._revision, self._ask = machine, revision, ask
        self._meter, self._bounds = meter, bounds or SizeBounds()
        self._memory = _Memory()

    async def decide(self, steps: Sequence[Candidate]) -> list[Refusal | None]:
        """One verdict for each step, None when allowed. What is not remembered is asked for together."""
        questions = [self._question(step) for step in steps]
        decisions = {question: self._memory.recall(question) for question in questions}
        unknown = [question for question, decision in decisions.items() if decision is None]
        if unknown:
            for question, decision in zip(unknown, await self._ask(unknown), strict=True):
                decisions[question] = decision
                self._memory.store(question, decision)
        return [self._refusal(question, decisions[question] or DENIED) for question in questions]

    def _question(self, step: Candidate) -> Question:
        size = self._bounds.classify(len(step.payload.encode()))
        rate = "normal" if self._meter is None else self._meter.classify(step.principal, step.sequence)
        return Question(step.principal, self._machine, step.thread, step.step, size, rate)

    def _refusal(self, question: Question, decision: Decision) -> Refusal | None:
        if decision.allow:
            return None
        witness = {"reasons": list(decision.reasons), **question._asdict(), "policy": self._revision}
        if decision.given:
            advice = "; ".join(ADVICE.get(reason, reason) for reason in decision.reasons)
            sentence = f"principal {question.principal!r} may not do this: {advice}. Ask whoever keeps the grants"
        else:
            sentence = "the policy server did not answer in time, which counts as a denial: publish under a new id"
        return Refusal(Code.POLICY_DENIED, GateName.POLICY, sentence, witness)


class _Memory:
    """Decisions used lately, without the thread where it does not matter."""

    def __init__(self) -> None:
        self._decisions: OrderedDict[Question, Decision] = OrderedDict()

    def recall(self, question: Question) -> Decision | None:
        """The decision on `question`, when remembered."""
        for key in (anywhere(question), question):
            decision = self._decisions.get(key)
            if decision is not None:
                self._decisions.move_to_end(key)
                return decision
        return None

    def store(self, question: Question, decision: Decision) -> None:
        """Remember a decision that was given."""
        if not decision.given:
            return
        self._decisions[anywhere(question) if decision.any_thread else question] = decision
        if len(self._decisions) > DECISIONS_REMEMBERED_MAX:
            self._decisions.popitem(last=False)
