"""Gate 2 in process: the Rego unit tests, classes of size and rate, memory, and grants files that say nonsense."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from itertools import count
from random import Random

import pytest
from regopy import Input, Interpreter

from relmachine.errors import Code, RelmError
from relmachine.gates import deciding
from relmachine.gates import policy as policy_module
from relmachine.gates.classes import RateMeter, SizeBounds
from relmachine.gates.grants import Grant, Grants, parse_grants, shipped_grants, shipped_policy
from relmachine.gates.policy import RegoPolicy
from relmachine.gates.questions import DENIED, Decision, Question
from relmachine.kernel.candidate import Candidate

MODULES = {"steps": "relmachine/steps_test", "log": "system/log_test"}
"""Files of rules, each with its tests in a file and a package of the same name with `_test`."""


def told_in(name: str) -> list[str]:
    return re.findall(r"^(test_\w+) if", shipped_policy(f"{name}_test.rego"), re.MULTILINE)


@pytest.fixture(scope="module")
def rego() -> Interpreter:
    interpreter = Interpreter()
    for name in MODULES:
        for file in (f"{name}.rego", f"{name}_test.rego"):
            interpreter.add_module(file, shipped_policy(file))
    interpreter.add_data({"grants": []})
    interpreter.set_input(Input({}))
    return interpreter


@pytest.mark.parametrize("test", [f"{package}/{test}" for name, package in MODULES.items() for test in told_in(name)])
def test_rego(rego: Interpreter, test: str) -> None:
    bundle = rego.build(None, [test])
    assert bundle.ok()
    output = rego.query_bundle_entrypoint(bundle, test)
    assert output.ok()
    assert output.results[0].expressions == [True]


@pytest.mark.parametrize(("name", "least"), [("steps", 25), ("log", 4)])
def test_every_rego_test_was_found(name: str, least: int) -> None:
    assert len(told_in(name)) == shipped_policy(f"{name}_test.rego").count("\ntest_") > least


def step(principal: str = "ann", thread: str = "t1", name: str = "check") -> Candidate:
    return Candidate(1, thread, name, "k", "{}", "d", principal=principal)


def grant(**changes: list[str]) -> Grant:
    everything = shipped_grants().grants[0].model_dump()
    return Grant.model_validate({**everything, **changes})


class Counted(RegoPolicy):
    """A policy that counts what it asks Rego."""

    def __init__(self, *grants: Grant) -> None:
        super().__init__("permit", Grants(grants=list(grants)))
        self.asked: list[Question] = []
        evaluate = self._rules._evaluate

        def counted(question: Question) -> Decision:
            self.asked.append(question)
            return evaluate(question)

        self._rules._evaluate = counted  # type: ignore[method-assign]

    def verdicts(self, *steps: Candidate) -> list[bool]:
        return [refusal is None for refusal in asyncio.run(self.decide(steps))]


def test_a_decision_is_asked_for_once() -> None:
    policy = Counted(grant(threads=["t*"]))
    assert policy.verdicts(step(), step(), step(thread="x")) == [True, True, False]
    assert policy.verdicts(step(thread="x"), step()) == [False, True]
    assert len(policy.asked) == 2


def test_a_decision_that_holds_on_any_thread_is_asked_for_on_one() -> None:
    policy = Counted(grant())
    assert policy.verdicts(*(step(thread=f"t{number}") for number in range(50))) == [True] * 50
    assert policy.verdicts(step(thread="another")) == [True]
    assert len(policy.asked) == 1


def test_what_is_remembered_is_what_would_be_decided() -> None:
    rng, names = Random(7), ["a", "ab", "a*", "b", "*"]

    def some() -> list[str]:
        return rng.sample(names, rng.randint(1, 2))

    for _ in range(20):
        grants = [grant(principals=some(), threads=some(), steps=some()) for _ in range(rng.randint(1, 3))]
        remembering = Counted(*grants)
        for _ in range(20):
            asked = step(*(rng.choice(["a", "ab", "b", "c"]) for _ in range(3)))
            assert remembering.verdicts(asked) == Counted(*grants).verdicts(asked)


def test_memory_is_bounded_and_forgets_what_is_used_least(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deciding, "DECISIONS_REMEMBERED_MAX", 2)
    policy = Counted(grant(threads=["t*"]))
    policy.verdicts(step(thread="t1"))
    policy.verdicts(step(thread="t2"))
    policy.verdicts(step(thread="t1"))
    policy.verdicts(step(thread="t3"))
    policy.verdicts(step(thread="t1"))
    assert [question.thread for question in policy.asked] == ["t1", "t2", "t3"]
    policy.verdicts(step(thread="t2"))
    assert policy.asked[-1].thread == "t2"


def test_undefined_and_failing_evaluations_are_denied(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = RegoPolicy("permit")
    question = Question("ann", "permit", "t1", "check", "small", "normal")
    assert policy._rules._evaluate(question).allow
    monkeypatch.setattr(policy_module, "ENTRYPOINT", "relmachine/steps/nothing")
    assert policy._rules._evaluate(question) == DENIED
    (refusal,) = asyncio.run(policy.decide([step()]))
    assert refusal is not None
    assert refusal.witness["reasons"] == ["undecided"]


def test_an_undefined_rule_is_denied() -> None:
    rules = 'package relmachine.steps\n\ndecision := {"allow": true} if input.nothing\n'
    compiled = policy_module._CompiledRules(rules, {})
    question = Question("ann", "permit", "t1", "check", "small", "normal")
    assert compiled.ask([question]) == [DENIED]


@pytest.mark.parametrize("rules", ["decision if {", "decision(x, x) if true"])
def test_rules_that_do_not_compile_are_an_error(rules: str) -> None:
    with pytest.raises(RelmError, match="does not compile"):
        policy_module._CompiledRules(f"package relmachine.steps\n\n{rules}\n", {})


@pytest.mark.parametrize(
    ("size_bytes", "expected"),
    [(0, "small"), (10, "small"), (11, "medium"), (20, "medium"), (21, "large"), (30, "large"), (31, "oversize")],
)
def test_sizes(size_bytes: int, expected: str) -> None:
    assert SizeBounds(10, 20, 30).classify(size_bytes) == expected


def test_the_size_is_in_bytes() -> None:
    policy = RegoPolicy("permit", Grants(grants=[grant(sizes=["small"])]), bounds=SizeBounds(10, 20, 30))
    payloads = ['{"x":"aa"}', '{"x":"aé"}']
    steps = [Candidate(1, "t", "check", "k", payload, "d") for payload in payloads]
    assert [refusal is None for refusal in asyncio.run(policy.decide(steps))] == [True, False]


def test_the_rate_is_counted_by_principal_and_minute() -> None:
    now, sequences = 600.0, count(1)
    meter = RateMeter(lambda: now, steps_per_minute_max=2)
    assert [meter.classify("ann", next(sequences)) for _ in range(3)] == ["normal", "normal", "over"]
    assert meter.classify("bob", next(sequences)) == "normal"
    now = 659.9
    assert meter.classify("ann", next(sequences)) == "over"
    now = 660.0
    assert [meter.classify("ann", next(sequences)) for _ in range(3)] == ["normal", "normal", "over"]


def test_the_meter_forgets_the_principal_heard_of_least_recently() -> None:
    meter = RateMeter(lambda: 0.0, steps_per_minute_max=1, principals_max=2)
    found = [meter.classify(name, seq) for seq, name in enumerate(("ann", "bob", "ann", "eve", "ann", "bob"))]
    assert found == ["normal", "normal", "over", "normal", "over", "normal"]


def test_no_bound_no_rate() -> None:
    meter = RateMeter(lambda: 0.0)
    assert {meter.classify("ann", sequence) for sequence in range(1000)} == {"normal"}


def test_a_step_that_is_decided_again_counts_once() -> None:
    meter = RateMeter(lambda: 0.0, steps_per_minute_max=2)
    assert [meter.classify("ann", sequence) for sequence in (1, 1, 2, 1, 3, 2, 3)] == ["normal"] * 4 + [
        "over",
        "normal",
        "over",
    ]


def test_who_publishes_too_fast_is_refused() -> None:
    policy = RegoPolicy("permit", meter=RateMeter(lambda: 0.0, steps_per_minute_max=1))
    first, second = asyncio.run(policy.decide([step(), replace(step(), sequence=99)]))
    assert first is None
    assert second is not None
    assert second.witness["reasons"] == ["rate"]
    assert "too fast" in second.sentence


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "value: Invalid JSON"),
        ("[]", "value: Input should be an object"),
        ('{"grants": [{}]}', "grants.0.principals: Field required"),
        ('{"grants": [], "grant": []}', "grant: Extra inputs are not permitted"),
    ],
)
def test_grants_that_say_nonsense(text: str, problem: str) -> None:
    with pytest.raises(RelmError) as caught:
        parse_grants(text)
    assert caught.value.code is Code.GRANTS_INVALID
    assert str(caught.value.witness["problems"]).startswith(f"['{problem}")


def test_a_misspelt_class_is_noticed() -> None:
    text = shipped_policy("grants.json").replace("large", "huge")
    with pytest.raises(RelmError, match="grants_invalid"):
        parse_grants(text)
