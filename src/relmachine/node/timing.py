"""What each gate costs while a node runs: the gates' ports, with a stopwatch around every question."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field

from relmachine.gates.port import ConstraintGate, LawCase, LawGate, OwnLawCase, OwnLawGate, PolicyGate
from relmachine.gates.shape import ShapeGate
from relmachine.kernel.candidate import Candidate, Message
from relmachine.kernel.proposal import Proposal
from relmachine.kernel.verdicts import Refusal, Refused

GATES = ("shape", "policy", "laws", "constraints")
"""In the order in which a step meets them."""


@dataclass(slots=True)
class GateTime:
    """Questions put to a gate, the steps in them, and the seconds until it had answered."""

    questions: int = 0
    steps: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class GateTimes:
    """The gates of one node since it started. Seconds by the clock: what a gate waits for counts too."""

    gates: Mapping[str, GateTime] = field(default_factory=lambda: {name: GateTime() for name in GATES})

    @contextlib.contextmanager
    def asking(self, gate: str, steps: int) -> Generator[None]:
        """Count the block as one question of `steps` steps to `gate`."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add(gate, steps, time.perf_counter() - started)

    def add(self, gate: str, steps: int, seconds: float) -> None:
        """Count one question."""
        known = self.gates[gate]
        known.questions += 1
        known.steps += steps
        known.seconds += seconds

    def as_json(self) -> dict[str, dict[str, float]]:
        """By gate: `questions`, `steps`, `seconds`."""
        return {
            name: {"questions": known.questions, "steps": known.steps, "seconds": round(known.seconds, 6)}
            for name, known in self.gates.items()
        }


@dataclass(frozen=True, slots=True, eq=False)
class TimedShape(ShapeGate):
    """Gate 1 with its time kept."""

    times: GateTimes

    def check(self, message: Message) -> Candidate | Refused:
        """See `ShapeGate.check`. Without a context manager: this is asked for every single message."""
        started = time.perf_counter()
        answer = ShapeGate.check(self, message)
        self.times.add("shape", 1, time.perf_counter() - started)
        return answer


@dataclass(frozen=True, slots=True)
class TimedPolicy:
    """Gate 2 with its time kept."""

    gate: PolicyGate
    times: GateTimes

    @property
    def revision(self) -> str:
        """See `PolicyGate.revision`."""
        return self.gate.revision

    async def decide(self, steps: Sequence[Candidate]) -> Sequence[Refusal | None]:
        """See `PolicyGate.decide`."""
        with self.times.asking("policy", len(steps)):
            return await self.gate.decide(steps)


@dataclass(frozen=True, slots=True)
class TimedLaws:
    """Gate 3, admission, with its time kept."""

    gate: LawGate
    times: GateTimes

    async def admit(self, cases: Sequence[LawCase]) -> Sequence[Sequence[Refusal | None]]:
        """See `LawGate.admit`."""
        with self.times.asking("laws", sum(len(case.steps) for case in cases)):
            return await self.gate.admit(cases)


@dataclass(frozen=True, slots=True)
class TimedOwnLaws:
    """Gate 3, laws of the author's own, with its time kept: it counts as that of `laws`, which counts the steps."""

    gate: OwnLawGate
    times: GateTimes

    async def judge(self, cases: Sequence[OwnLawCase]) -> Sequence[Refusal | None]:
        """See `OwnLawGate.judge`."""
        with self.times.asking("laws", 0):
            return await self.gate.judge(cases)


@dataclass(frozen=True, slots=True)
class TimedConstraints:
    """Gate 3, constraints, with its time kept."""

    gate: ConstraintGate
    times: GateTimes

    async def check(self, proposals: Sequence[Proposal]) -> Sequence[Mapping[int, Refusal]]:
        """See `ConstraintGate.check`."""
        with self.times.asking("constraints", sum(len(proposal.events) for proposal in proposals)):
            return await self.gate.check(proposals)
