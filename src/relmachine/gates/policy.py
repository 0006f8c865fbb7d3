"""Gate 2, policy: `policies/steps.rego` evaluated in process, default deny, with its decisions remembered.

Rego decides; this module classifies size and rate, asks, and puts the answer into words. regopy answers "ok" with no
expressions where a rule is undefined, and crashes when asked for a bundle that did not compile: the first is denied,
the second is an error when the policy is made.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple, cast

from regopy import Input, Interpreter, RegoError

from relmachine.algebra.identity import digest
from relmachine.errors import Code, RelmError
from relmachine.gates.classes import RateClass, RateMeter, SizeBounds, SizeClass
from relmachine.gates.grants import Grants, shipped_grants, shipped_policy
from relmachine.kernel.envelope import Candidate
from relmachine.kernel.verdicts import GateName, Refusal
from relmachine.machine.canonical import canonical_text

ENTRYPOINT = "relmachine/steps/decision"
"""The rule that is asked."""

DECISIONS_REMEMBERED_MAX = 65_536
"""Decisions a policy remembers; the one used least recently is forgotten first."""

_ADVICE = {
    "principal": "no grant names this principal",
    "machine": "no grant of it covers this machine",
    "thread": "no grant of it covers this thread",
    "step": "no grant of it covers this step",
    "size": "no grant of it allows payloads of this size: send less",
    "rate": "it publishes too fast: wait a minute and publish under a new id",
    "together": "each condition is met by some grant of it, but all of them by none",
    "undecided": "the policy gave no decision",
}


class Question(NamedTuple):
    """The policy's input. Never the payload, so that the answer can be remembered."""

    principal: str
    machine: str
    thread: str
    step: str
    size: SizeClass
    rate: RateClass


class Decision(NamedTuple):
    """The policy's answer; `any_thread` when it is the same on every thread."""

    allow: bool
    reasons: tuple[str, ...]
    any_thread: bool


DENIED = Decision(False, ("undecided",), False)
"""What an undefined answer, an answer of another shape and an error count as."""


class RegoPolicy:
    """The policy gate in process, for one event loop. Other grants make another policy, with another revision."""

    def __init__(
        self,
        machine: str,
        grants: Grants | None = None,
        meter: RateMeter | None = None,
        bounds: SizeBounds | None = None,
    ) -> None:
        """Policy for steps of `machine`; without `grants` the shipped ones, without `meter` every rate is normal."""
        rules = shipped_policy("steps.rego")
        data = (grants or shipped_grants()).model_dump(mode="json")
        self._machine = machine
        self._meter, self._bounds = meter, bounds or SizeBounds()
        self._revision = digest("policy", rules, canonical_text(data))
        self._rules = _CompiledRules(rules, data)
        self._memory = _Memory()

    @property
    def revision(self) -> str:
        """Digest of the rules and the grants."""
        return self._revision

    async def decide(self, steps: Sequence[Candidate]) -> Sequence[Refusal | None]:
        """One verdict for each step, None when allowed."""
        questions = [self._question(step) for step in steps]
        decisions = {question: self._memory.recall(question) for question in questions}
        unknown = [question for question, decision in decisions.items() if decision is None]
        if unknown:
            for question, decision in zip(unknown, await asyncio.to_thread(self._rules.ask, unknown), strict=True):
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
        advice = "; ".join(_ADVICE.get(reason, reason) for reason in decision.reasons)
        sentence = f"principal {question.principal!r} may not do this: {advice}. Ask whoever keeps the grants"
        witness = {"reasons": list(decision.reasons), **question._asdict(), "policy": self._revision}
        return Refusal(Code.POLICY_DENIED, GateName.POLICY, sentence, witness)


class _CompiledRules:
    """The rules with their data, compiled once. Rego terminates and these rules reach nothing outside."""

    def __init__(self, rules: str, data: dict[str, object]) -> None:
        self._interpreter = Interpreter()
        try:
            self._interpreter.add_module("steps.rego", rules)
            self._interpreter.add_data(data)
            self._bundle = self._interpreter.build(None, [ENTRYPOINT])
        except RegoError as error:
            raise _broken(str(error)) from error
        if not self._bundle.ok():
            raise _broken("the bundle is not ok")
        self._lock = threading.Lock()  # an interpreter holds one input at a time

    def ask(self, questions: Sequence[Question]) -> list[Decision]:
        """The answers. An answer that holds on any thread is asked for once."""
        shared: dict[Question, Decision] = {}
        decisions: list[Decision] = []
        with self._lock:
            for question in questions:
                anywhere = _anywhere(question)
                decision = shared.get(anywhere) or self._evaluate(question)
                if decision.any_thread:
                    shared[anywhere] = decision
                decisions.append(decision)
        return decisions

    def _evaluate(self, question: Question) -> Decision:
        try:
            self._interpreter.set_input(Input(question._asdict()))
            output = self._interpreter.query_bundle_entrypoint(self._bundle, ENTRYPOINT)
            expressions = cast(list[object], output.results[0].expressions)  # pyright: ignore[reportUnknownMemberType]
            (answer,) = cast(list[dict[str, object]], expressions)
            reasons = tuple(cast(list[str], answer["reasons"]))
            return Decision(answer["allow"] is True, reasons, answer["any_thread"] is True)
        except Exception:  # undefined, misshapen or failed: whatever it is, the answer is no
            return DENIED


def _broken(detail: str) -> RelmError:
    return RelmError(Code.INTERNAL, "the shipped policy does not compile: reinstall the package", detail=detail)


class _Memory:
    """Decisions used lately, without the thread where it does not matter."""

    def __init__(self) -> None:
        self._decisions: OrderedDict[Question, Decision] = OrderedDict()

    def recall(self, question: Question) -> Decision | None:
        """The decision on `question`, when remembered."""
        for key in (_anywhere(question), question):
            decision = self._decisions.get(key)
            if decision is not None:
                self._decisions.move_to_end(key)
                return decision
        return None

    def store(self, question: Question, decision: Decision) -> None:
        """Remember a decision."""
        self._decisions[_anywhere(question) if decision.any_thread else question] = decision
        if len(self._decisions) > DECISIONS_REMEMBERED_MAX:
            self._decisions.popitem(last=False)


def _anywhere(question: Question) -> Question:
    """The question without its thread: no thread is called by the empty text."""
    principal, machine, _, step, size, rate = question
    return Question(principal, machine, "", step, size, rate)
