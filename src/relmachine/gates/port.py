"""The gates as the turn sees them. Order: shape, policy, laws; each decides a batch and answers with values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from relmachine.gates.own_law_scene import Scene
from relmachine.kernel.candidate import Candidate
from relmachine.kernel.proposal import Proposal
from relmachine.kernel.state import ThreadState
from relmachine.kernel.verdicts import Refusal


@dataclass(frozen=True, slots=True)
class LawCase:
    """One thread's steps for gate 3, in subject order.

    `once_values[i]` maps each `once` field that step `i` writes to the canonical JSON of its value, as far as known
    (a computed step's values are not known before it has run). A step whose sequence is in `withdrawn` counts as not
    admitted whatever the laws say: it failed elsewhere.
    """

    state: ThreadState
    steps: Sequence[Candidate]
    once_values: Sequence[Mapping[str, str]]
    withdrawn: frozenset[int] = field(default_factory=frozenset[int])


@dataclass(frozen=True, slots=True)
class OwnLawCase:
    """A step for the laws that guard it. `event_ids` gives the ids of the scene's past events, for the witness."""

    scene: Scene
    event_ids: Callable[[], Sequence[str]]


class PolicyGate(Protocol):
    """Gate 2: may this principal submit this step on this thread."""

    @property
    def revision(self) -> str:
        """Digest of the policies and their data; part of the plan, since it is evidence."""
        ...

    async def decide(self, steps: Sequence[Candidate]) -> Sequence[Refusal | None]:
        """One verdict for each step, None when allowed. What the policy leaves undefined is denied."""
        ...


class LawGate(Protocol):
    """Gate 3, admission: the only place that decides what a step needs of its history."""

    async def admit(self, cases: Sequence[LawCase]) -> Sequence[Sequence[Refusal | None]]:
        """For each case, one verdict for each step; None for admitted and for withdrawn steps."""
        ...


class OwnLawGate(Protocol):
    """Gate 3, laws of the author's own, asked about steps that admission lets pass."""

    async def judge(self, cases: Sequence[OwnLawCase]) -> Sequence[Refusal | None]:
        """One verdict for each case. Errors: `unreachable` when they cannot be asked: the turn is taken again."""
        ...


class ConstraintGate(Protocol):
    """Gate 3, constraints: the laws of fibers, pairs of fibers, order and sections on what a turn would write."""

    async def check(self, proposals: Sequence[Proposal]) -> Sequence[Mapping[int, Refusal]]:
        """For each proposal the refusals by stream sequence: empty when every law holds."""
        ...
