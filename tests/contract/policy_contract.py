"""Contract of gate 2: who may do what, said in grants, is what a policy decides. Method: one table of cases.

Every adapter of the policy port inherits `PolicyContract` and opens its policy in `opened` and `opened_undefined`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager

import pytest

from relmachine.errors import Code
from relmachine.gates.classes import RateMeter, SizeBounds
from relmachine.gates.grants import Grant, Grants, policy_source
from relmachine.gates.port import PolicyGate
from relmachine.kernel.candidate import Candidate
from relmachine.kernel.verdicts import GateName, Refusal

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
NO_GRANTS = Grants(grants=[])

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


def candidate(changes: Mapping[str, str], size_bytes: int = SMALL, sequence: int = 1) -> Candidate:
    """A step of alice's, changed, with a payload of that size."""
    named = {"thread": "case-1", "step": "t02", "principal": "alice", **changes}
    payload = '{"x":"' + "x" * (size_bytes - 8) + '"}'
    return Candidate(sequence, named["thread"], named["step"], "k", payload, "d", principal=named["principal"])


class PolicyContract:
    """What every policy promises."""

    def opened(
        self, grants: Grants | None = None, meter: RateMeter | None = None, bounds: SizeBounds | None = None
    ) -> AbstractAsyncContextManager[PolicyGate]:
        """A policy of machine `permit`, with the shipped grants where none are given."""
        raise NotImplementedError

    def opened_undefined(self) -> AbstractAsyncContextManager[PolicyGate]:
        """The same, of the shipped grants, but its evaluator says that the rule asked for is undefined."""
        raise NotImplementedError

    def decided(self, grants: Grants | None, *batches: Sequence[Candidate]) -> list[list[object]]:
        """The reasons of each refusal, [] for what is allowed, of batches decided one after the other."""

        async def run() -> list[list[object]]:
            async with self.opened(grants) as policy:
                return [[reasons_of(verdict) for verdict in await policy.decide(batch)] for batch in batches]

        return asyncio.run(run())

    @pytest.mark.parametrize(("changes", "size_bytes", "reasons"), CASES)
    def test_case(self, changes: dict[str, str], size_bytes: int, reasons: list[str]) -> None:
        assert self.decided(GRANTS, [candidate(changes, size_bytes)]) == [[reasons]]

    def test_a_batch_is_decided_step_by_step_however_often(self) -> None:
        steps = [candidate(changes, size_bytes) for changes, size_bytes, _ in CASES]
        batch, expected = [*steps, *reversed(steps)], [reasons for _, _, reasons in CASES]
        expected = [*expected, *reversed(expected)]
        assert self.decided(GRANTS, batch, batch) == [expected, expected]  # the second time from memory

    def test_what_is_remembered_is_what_would_be_decided(self) -> None:
        steps = [
            candidate({"thread": thread, "principal": principal, "step": step})
            for thread in ("case-1", "box", "case-2")
            for principal in ("alice", "team-a", "bob")
            for step in ("t02", "audit")
        ]
        (fresh,) = self.decided(GRANTS, steps)
        assert self.decided(GRANTS, *([step] for step in steps)) == [[reasons] for reasons in fresh]

    def test_a_refusal_says_what_was_asked_and_what_to_do(self) -> None:
        async def run() -> tuple[Refusal | None, str]:
            async with self.opened(GRANTS) as policy:
                (verdict,) = await policy.decide([candidate({"step": "t99"})])
                return verdict, policy.revision

        verdict, revision = asyncio.run(run())
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
            "policy": revision,
        }
        assert "covers this step" in verdict.sentence

    def test_what_is_undefined_is_denied(self) -> None:
        async def run() -> Sequence[Refusal | None]:
            async with self.opened_undefined() as policy:
                return await policy.decide([candidate({}), candidate({"thread": "x"})])

        verdicts = asyncio.run(run())
        assert [reasons_of(verdict) for verdict in verdicts] == [["undecided"], ["undecided"]]

    def test_without_grants_everything_is_denied(self) -> None:
        assert self.decided(NO_GRANTS, [candidate({})]) == [[["principal"]]]

    def test_the_shipped_grants_allow_all_but_oversize(self) -> None:
        steps = [
            candidate({}),
            candidate({"principal": "x", "step": "y", "thread": "z"}, LARGE),
            candidate({}, OVERSIZE),
        ]
        assert self.decided(None, steps) == [[[], [], ["size"]]]

    @pytest.mark.parametrize(
        ("pattern", "name", "other"),
        [
            ('"\\{ü}\n*', '"\\{ü}\n!', '"\\{u}\n!'),
            ("a\nb", "a\nb", "a\\nb"),
            ("a\\nb", "a\\nb", "a\nb"),
            ("ü", "ü", "%C3%BC"),
            ("%C3%BC", "%C3%BC", "ü"),
            ("a", "a", "\\u0061"),
            ("😀*", "😀", "\\ud83d\\ude00"),
        ],
    )
    def test_names_of_any_text_are_compared_as_they_are(self, pattern: str, name: str, other: str) -> None:
        grants = Grants(grants=[AUDITORS.model_copy(update={"principals": [pattern]})])
        steps = [candidate({"principal": principal, "step": "audit"}) for principal in (name, other)]
        assert self.decided(grants, steps) == [[[], ["principal"]]]

    def test_the_size_is_in_bytes_of_the_payload(self) -> None:
        small = Grants(grants=[CLERKS.model_copy(update={"sizes": ["small"]})])

        async def run() -> Sequence[Refusal | None]:
            async with self.opened(small, bounds=SizeBounds(10, 20, 30)) as policy:
                return await policy.decide([candidate({}, 10), candidate({}, 11), candidate({}, 31)])

        assert [reasons_of(verdict) for verdict in asyncio.run(run())] == [[], ["size"], ["size"]]

    def test_who_publishes_too_fast_is_refused_once_per_step(self) -> None:
        async def run() -> list[list[object]]:
            async with self.opened(None, RateMeter(lambda: 0.0, steps_per_minute_max=2)) as policy:
                steps = [candidate({}, sequence=sequence) for sequence in (1, 2, 3)]
                return [[reasons_of(verdict) for verdict in await policy.decide(steps)] for _ in range(2)]

        assert asyncio.run(run()) == [[[], [], ["rate"]]] * 2

    def test_the_revision_is_that_of_rules_and_grants(self) -> None:
        async def revision(grants: Grants | None) -> str:
            async with self.opened(grants) as policy:
                return policy.revision

        told = [asyncio.run(revision(grants)) for grants in (None, GRANTS, NO_GRANTS, GRANTS)]
        assert told == [policy_source(grants).revision for grants in (None, GRANTS, NO_GRANTS, GRANTS)]
        assert len(set(told)) == 3

    def test_nothing_is_decided_on_nothing(self) -> None:
        assert self.decided(None, []) == [[]]


def reasons_of(verdict: Refusal | None) -> object:
    """The reasons of a refusal; none when allowed."""
    return [] if verdict is None else verdict.witness["reasons"]
