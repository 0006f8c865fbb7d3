"""What store tests write: a small machine with every kind of field, and turns over it made by the kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from relmachine.algebra.identity import digest
from relmachine.errors import Code
from relmachine.kernel.advance import advance
from relmachine.kernel.envelope import Candidate, step_key
from relmachine.kernel.proposal import Proposal
from relmachine.kernel.state import ThreadState, initial_state
from relmachine.kernel.verdicts import Admitted, Decided, GateName, Refusal, Refused
from relmachine.machine import Machine
from relmachine.machine.canonical import canonical_text
from relmachine.machine.plan import Plan


def desk(name: str = "desk", *, stricter: bool = False) -> Plan:
    """A machine with a chain of three claims, a contest, a veto, a judgement, and every reducer."""
    machine = Machine(name, version="1")
    received = machine.claim("received")
    checked = machine.claim("checked", requires=[received])
    decided = machine.claim("decided", requires=[checked, received] if stricter else [checked])
    opinion = machine.claim("opinion", requires=[received])
    for reducer in ("union", "once", "log"):
        machine.field(reducer, str, reducer=reducer)
    machine.field("latest", "datetime", reducer="max")
    machine.field("least", int, reducer="min")
    machine.field("count", int, reducer="sum")
    machine.field("weight", float, reducer="sum")
    every = {"union": "who", "latest": "at", "least": "n", "count": "n", "weight": "w"}
    machine.step("receive", kind="process", asserts=[received], writes=every)
    machine.step("check", kind="process", asserts=[checked], writes=every)
    machine.step("adjust", kind="process", contests=[checked], writes={"union": "who"})
    machine.step("decide", kind="process", asserts=[decided], writes={"once": "who"})
    machine.step("opine", kind="derivation", asserts=[opinion], writes={"log": "who"})
    machine.step("doubt", kind="process", vetoes=[opinion])
    machine.step("guess", kind="inquiry", writes={"log": "who"})
    machine.step("note", kind="process", writes={"log": "who"})
    return machine.plan()


@dataclass
class Steps:
    """Decided steps with rising stream sequences, as the gates would hand them to the kernel."""

    plan: Plan
    sequence: int = 0
    source: str = "test"

    def admitted(self, thread: str, step: str, **contributions: object) -> Admitted:
        """An admitted step that contributes `contributions`."""
        texts = {name: canonical_text(value) for name, value in contributions.items()}
        return Admitted(self._candidate(thread, step, contributions), tuple(sorted(texts.items())))

    def refused(self, thread: str, step: str, *, keyed: bool = True) -> Refused:
        """A step that gate 3 refused."""
        refusal = Refusal(Code.REQUIRES, GateName.LAWS, "publish its prerequisites first", {"claims": ["checked"]})
        return Refused(self._candidate(thread, step, {}), refusal, keyed=keyed)

    def _candidate(self, thread: str, step: str, payload: Mapping[str, object]) -> Candidate:
        self.sequence += 1
        text = canonical_text({**payload, "n": self.sequence})
        return Candidate(
            sequence=self.sequence,
            thread=thread,
            step=step,
            step_key=step_key(self.source, str(self.sequence)),
            payload=text,
            payload_digest=digest("payload", text),
            principal="officer",
            time="2026-01-01T00:00:00.000000Z",
        )


@dataclass
class Desk:
    """Threads of the desk machine as a turn sees them: each turn starts where the last one of its thread ended."""

    plan: Plan
    steps: Steps
    states: dict[str, ThreadState] = field(default_factory=dict[str, ThreadState])

    @classmethod
    def new(cls, plan: Plan | None = None) -> Desk:
        """A desk without threads."""
        made = plan or desk()
        return cls(made, Steps(made))

    def turn(self, thread: str, *decided: Decided) -> Proposal:
        """The turn that decides these steps; the next turn of the thread comes after it."""
        state = self.states.get(thread) or initial_state(self.plan, thread)
        proposal = advance(self.plan, state, decided)
        self.states[thread] = proposal.after
        return proposal

    def opening(self, thread: str, who: str = "ann") -> Proposal:
        """A turn with a received and a checked claim, and one refused step."""
        steps = self.steps
        return self.turn(
            thread,
            steps.admitted(thread, "receive", union=who, latest="2026-01-01T00:00:00.000000Z", least=3, count=3),
            steps.refused(thread, "decide"),
            steps.admitted(thread, "check", union="bob", latest="2025-01-01T00:00:00.000000Z", least=2, weight=0.1),
        )

    def notes(self, thread: str, count: int) -> Proposal:
        """A turn of `count` log entries."""
        return self.turn(thread, *(self.steps.admitted(thread, "note", log=f"entry {i}") for i in range(count)))
