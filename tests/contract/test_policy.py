"""Contract of gate 2: who may do what, said in grants, is what a policy decides. Method: one table of cases.

Every adapter of the policy port inherits `PolicyContract` and makes its policy in `make_policy`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest

from relmachine.errors import Code
from relmachine.gates.grants import Grant, Grants
from relmachine.gates.policy import RegoPolicy
from relmachine.gates.port import PolicyGate
from relmachine.kernel.envelope import Candidate
from relmachine.kernel.verdicts import GateName, Refusal

MakePolicy = Callable[[Grants | None], PolicyGate]
"""A policy of machine `permit`, with the shipped grants where none are given."""

CLERKS = Grant(
    principals=["alice", "team-*"],
    machines=["permit"],
    threads=["case-*"],
    steps=["t02", "t03"],
    sizes=["small", "medium"],
    rates=["normal"],
)
AUDITORS = Grant(
    principals=["alice"],
    machines=["*"],
    threads=["*"],
    steps=["audit"],
    sizes=["small", "medium", "large"],
    rates=["normal"],
)
ELSEWHERE = CLERKS.model_copy(update={"principals": ["carol"], "machines": ["loan"]})
GRANTS = Grants(grants=[CLERKS, AUDITORS, ELSEWHERE])

SMALL, LARGE, OVERSIZE = 10, 64 * 1024, 200 * 1024

CASES: list[tuple[dict[str, str], int, list[str]]] = [
    ({}, SMALL, []),
    ({"principal": "team-west"}, SMALL, []),
    ({"step": "audit", "thread": "x"}, LARGE, []),
    ({"principal": "bob"}, SMALL, ["principal"]),
    ({"principal": "Alice"}, SMALL, ["principal"]),
    ({"principal": "alice2"}, SMALL, ["principal"]),
    ({"principal": "*"}, SMALL, ["principal"]),
    ({"principal": ""}, SMALL, ["principal"]),
    ({"principal": "carol"}, SMALL, ["machine"]),
    ({"principal": "team-a", "thread": "box-1"}, SMALL, ["thread"]),
    ({"step": "t99"}, SMALL, ["step"]),
    ({"principal": "team-a"}, LARGE, ["size"]),
    ({}, OVERSIZE, ["size"]),
    ({"principal": "team-a", "step": "audit", "thread": "x"}, OVERSIZE, ["thread", "step", "size"]),
    ({}, LARGE, ["together"]),
]
"""Changes to a step that is allowed, the size of its payload in bytes, and the reasons of its refusal."""


def candidate(changes: Mapping[str, str], size_bytes: int = SMALL) -> Candidate:
    """A step of alice's, changed, with a payload of that size."""
    named = {"thread": "case-1", "step": "t02", "principal": "alice", **changes}
    payload = '{"x":"' + "x" * (size_bytes - 8) + '"}'
    return Candidate(1, named["thread"], named["step"], "k", payload, "d", principal=named["principal"])


class PolicyContract:
    """What every policy promises."""

    @pytest.mark.parametrize(("changes", "size_bytes", "reasons"), CASES)
    def test_case(self, make_policy: MakePolicy, changes: dict[str, str], size_bytes: int, reasons: list[str]) -> None:
        (verdict,) = asyncio.run(make_policy(GRANTS).decide([candidate(changes, size_bytes)]))
        assert reasons_of(verdict) == reasons

    def test_a_batch_is_decided_step_by_step_however_often(self, make_policy: MakePolicy) -> None:
        policy = make_policy(GRANTS)
        steps = [candidate(changes, size_bytes) for changes, size_bytes, _ in CASES]
        for _ in range(2):  # the second time from memory
            verdicts = asyncio.run(policy.decide([*steps, *reversed(steps)]))
            found = [reasons_of(verdict) for verdict in verdicts]
            expected = [reasons for _, _, reasons in CASES]
            assert found == [*expected, *reversed(expected)]

    def test_a_refusal_says_what_was_asked_and_what_to_do(self, make_policy: MakePolicy) -> None:
        policy = make_policy(GRANTS)
        (verdict,) = asyncio.run(policy.decide([candidate({"step": "t99"})]))
        assert verdict is not None
        assert (verdict.code, verdict.gate) == (Code.POLICY_DENIED, GateName.POLICY)
        assert verdict.witness == {
            "reasons": ["step"],
            "principal": "alice",
            "machine": "permit",
            "thread": "case-1",
            "step": "t99",
            "size": "small",
            "rate": "normal",
            "policy": policy.revision,
        }
        assert "covers this step" in verdict.sentence

    def test_without_grants_everything_is_denied(self, make_policy: MakePolicy) -> None:
        (verdict,) = asyncio.run(make_policy(Grants(grants=[])).decide([candidate({})]))
        assert reasons_of(verdict) == ["principal"]

    def test_the_shipped_grants_allow_all_but_oversize(self, make_policy: MakePolicy) -> None:
        steps = [
            candidate({}),
            candidate({"principal": "x", "step": "y", "thread": "z"}, LARGE),
            candidate({}, OVERSIZE),
        ]
        verdicts = asyncio.run(make_policy(None).decide(steps))
        assert [reasons_of(verdict) for verdict in verdicts] == [[], [], ["size"]]

    def test_the_revision_names_the_grants(self, make_policy: MakePolicy) -> None:
        revisions = {make_policy(grants).revision for grants in (None, GRANTS, Grants(grants=[]))}
        assert len(revisions) == 3
        assert make_policy(GRANTS).revision == make_policy(GRANTS).revision

    def test_nothing_is_decided_on_nothing(self, make_policy: MakePolicy) -> None:
        assert list(asyncio.run(make_policy(None).decide([]))) == []


def reasons_of(verdict: Refusal | None) -> object:
    return [] if verdict is None else verdict.witness["reasons"]


class TestRegoPolicy(PolicyContract):
    """The policy in process."""

    @pytest.fixture
    def make_policy(self) -> MakePolicy:
        return lambda grants: RegoPolicy("permit", grants)
