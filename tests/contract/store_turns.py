"""What store tests write: a small machine with every kind of field, and turns over it made by the kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from relmachine.algebra.identity import digest
from relmachine.errors import Code
from relmachine.gates.admission import AdmissionGate
from relmachine.gates.port import LawCase
from relmachine.kernel.advance import advance
from relmachine.kernel.candidate import Candidate
from relmachine.kernel.envelope import step_key
from relmachine.kernel.proposal import Proposal
from relmachine.kernel.state import ThreadState, initial_state
from relmachine.kernel.verdicts import Admitted, Decided, GateName, Refusal, Refused, Repeated
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
    every = {name: name for name in ("union", "latest", "least", "count", "weight")}
    machine.step("receive", kind="process", asserts=[received], writes=every)
    machine.step("check", kind="process", asserts=[checked], writes=every)
    machine.step("adjust", kind="process", contests=[checked], writes={"union": "union"})
    machine.step("decide", kind="process", asserts=[decided], writes={"once": "once"})
    machine.step("opine", kind="derivation", asserts=[opinion], writes={"log": "log", "weight": "weight"})
    machine.step("doubt", kind="process", vetoes=[opinion])
    machine.step("guess", kind="inquiry", writes={"log": "log"})
    machine.step("note", kind="process", writes={"log": "log"})
    machine.step("amend", kind="process", writes={**every, "log": "log"})
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

    def refused(self, thread: str, step: str, **offered: object) -> Refused:
        """A step that gate 3 refuses: `Desk.turn` asks it why, showing it the values `offered`."""
        texts = {name: canonical_text(value) for name, value in offered.items()}
        return Refused(self._candidate(thread, step, offered), Refusal(Code.REQUIRES, GateName.LAWS, "", texts))

    def failed(self, thread: str, step: str, detail: str) -> Refused:
        """A step whose function raised."""
        refusal = Refusal(Code.CLOSURE_FAILED, GateName.ENGINE, "mend it", {"detail": detail})
        return Refused(self._candidate(thread, step, {}), refusal)

    def conflicting(self, thread: str, step: str, first: Decided) -> Refused:
        """A step under the key of `first`, an earlier one."""
        known = first.candidate
        witness = {
            "step_key": known.step_key,
            "first_sequence": known.sequence,
            "first_step": known.step,
        }
        refusal = Refusal(Code.ID_CONFLICT, GateName.SHAPE, "give a new step a new id", witness)
        candidate = replace(self._candidate(thread, step, {}), step_key=known.step_key)
        return Refused(candidate, refusal, keyed=False)

    def unreadable(self, thread: str) -> Refused:
        """A message without an envelope."""
        candidate = replace(self._candidate(thread, "note", {}), step_key="", payload="", payload_digest="")
        return Refused(candidate, Refusal(Code.NOT_JSON, GateName.SHAPE, "send UTF-8 JSON"), keyed=False)

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
        proposal = advance(self.plan, state, self._admit(state, decided))
        self.states[thread] = proposal.after
        return proposal

    def _admit(self, state: ThreadState, decided: Sequence[Decided]) -> list[Decided]:
        """The steps with gate 3's own words for those that it refuses; what the test says must be what it decides."""
        asked = [item for item in decided if not isinstance(item, Repeated) and _by_laws(item)]
        written = [dict(item.contributions if isinstance(item, Admitted) else item.refusal.witness) for item in asked]
        offers = [{name: str(text) for name, text in values.items() if name == "once"} for values in written]
        (verdicts,) = AdmissionGate(self.plan).decide([LawCase(state, [item.candidate for item in asked], offers)])
        known = {item.candidate.sequence: verdict for item, verdict in zip(asked, verdicts, strict=True)}
        return [_decided(item, known.get(item.candidate.sequence)) for item in decided]

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


def _by_laws(item: Admitted | Refused) -> bool:
    return isinstance(item, Admitted) or item.refusal.gate is GateName.LAWS


def _decided(item: Decided, verdict: Refusal | None) -> Decided:
    if isinstance(item, Admitted):
        assert verdict is None, (item.candidate.step, verdict)
    if isinstance(item, Refused) and item.refusal.gate is GateName.LAWS:
        assert verdict is not None, item.candidate.step
        return replace(item, refusal=verdict)
    return item
