"""Gate 2, policy: `policies/steps.rego` evaluated in process, default deny, with its decisions remembered.

Rego decides; `deciding.py` classifies size and rate, remembers, and puts the answer into words. regopy answers "ok"
with no expressions where a rule is undefined, crashes when asked for a bundle that did not compile, and mistakes text
with escapes in it: the first is denied, the second an error when the policy is made; names go in percent-encoded.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import cast
from urllib.parse import quote

from regopy import Input, Interpreter, RegoError

from relmachine.errors import Code, RelmError
from relmachine.gates.classes import RateMeter, SizeBounds
from relmachine.gates.deciding import Deciding
from relmachine.gates.grants import Grants, policy_source
from relmachine.gates.questions import DENIED, Decision, Question, anywhere
from relmachine.kernel.candidate import Candidate
from relmachine.kernel.verdicts import Refusal

ENTRYPOINT = "relmachine/steps/decision"
"""The rule that is asked."""

_PLAIN = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) not in '%"\\')
"""What regopy reads in data as in input. `*` is among it, and encoding keeps prefixes, so patterns mean the same."""


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
        source = policy_source(grants)
        self._revision = source.revision
        self._rules = _CompiledRules(source.rules, cast(dict[str, object], _plain(source.data)))
        self._deciding = Deciding(machine, source.revision, self._ask, meter, bounds)

    @property
    def revision(self) -> str:
        """Digest of the rules and the grants."""
        return self._revision

    async def decide(self, steps: Sequence[Candidate]) -> Sequence[Refusal | None]:
        """One verdict for each step, None when allowed."""
        return await self._deciding.decide(steps)

    async def _ask(self, questions: Sequence[Question]) -> Sequence[Decision]:
        return await asyncio.to_thread(self._rules.ask, questions)


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
                decision = shared.get(anywhere(question)) or self._evaluate(question)
                if decision.any_thread:
                    shared[anywhere(question)] = decision
                decisions.append(decision)
        return decisions

    def _evaluate(self, question: Question) -> Decision:
        try:
            self._interpreter.set_input(Input(_plain(question._asdict())))
            output = self._interpreter.query_bundle_entrypoint(self._bundle, ENTRYPOINT)
            expressions = cast(list[object], output.results[0].expressions)  # pyright: ignore[reportUnknownMemberType]
            (answer,) = cast(list[dict[str, object]], expressions)
            reasons = tuple(cast(list[str], answer["reasons"]))
            return Decision(answer["allow"] is True, reasons, answer["any_thread"] is True)
        except Exception:  # undefined, misshapen or failed: whatever it is, the answer is no
            return DENIED


def _plain(value: object) -> object:
    """`value` with every text in it percent-encoded, names of members excepted."""
    match value:
        case str():
            return quote(value, safe=_PLAIN)
        case dict():
            return {key: _plain(member) for key, member in cast(dict[str, object], value).items()}
        case list():
            return [_plain(item) for item in cast(list[object], value)]
        case _:
            return value


def _broken(detail: str) -> RelmError:
    return RelmError(Code.INTERNAL, "the shipped policy does not compile: reinstall the package", detail=detail)
