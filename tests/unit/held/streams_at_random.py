"""Random streams of a random machine's thread, whose steps defer, decided turn by turn by the real gate and kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

import orjson

from relmachine.gates.admission import AdmissionGate
from relmachine.gates.port import LawCase
from relmachine.kernel.advance import advance
from relmachine.kernel.candidate import Candidate
from relmachine.kernel.control import RELEASE
from relmachine.kernel.held import dropped, holding, kept, released, waits
from relmachine.kernel.proposal import Proposal
from relmachine.kernel.state import ThreadState, initial_state
from relmachine.kernel.verdicts import Admitted, Refusal, Refused
from relmachine.machine.plan import Plan, Reducer
from tests.unit.gates.machines_at_random import Published, plan_and_thread

HELD_MAX = 64


@dataclass(frozen=True)
class Release:
    """The record that lets the step with this key be decided again."""

    key: str


Sent = Published | Release


@dataclass(frozen=True)
class Outcome:
    """All that a stream decides: by key the event, why it was refused, or that it waits; and where that leads."""

    decisions: Mapping[str, str]
    history: str
    waiting: frozenset[str]
    released: frozenset[str]


def deferring(seed: int) -> tuple[Plan, list[Published]] | None:
    """A random machine, of whose steps half defer, with a random thread in a random order."""
    plan, thread = plan_and_thread(seed)
    if plan is None:
        return None
    rng = Random(seed)
    steps = tuple(replace(step, defers=bool(step.needs) and rng.random() < 0.7) for step in plan.steps)
    chosen = rng.choices(list(thread), k=len(thread) // 2)
    more = [replace(one, key=f"{one.key} {place}") for place, one in enumerate(chosen)]
    return replace(plan, steps=steps), [*rng.sample(list(thread), len(thread)), *more]


class Thread:
    """A thread under way. Sequences are places in the stream."""

    def __init__(self, plan: Plan, held_max: int = HELD_MAX) -> None:
        self.plan, self.held_max = plan, held_max
        self._gate = AdmissionGate(plan)
        self._once = {name for name, field in plan.fields.items() if field.reducer is Reducer.ONCE}
        self.state: ThreadState = initial_state(plan, "t")
        self._sequence = 0
        self._steps: dict[str, Candidate] = {}
        self.decisions: dict[str, str] = {}
        self.released: list[str] = []

    def turn(self, batch: Sequence[Published]) -> list[Release]:
        """Decide steps together; the releases that leave."""
        steps = [one.candidate(self._sequence + place) for place, one in enumerate(batch, start=1)]
        self._sequence += len(batch)
        self._steps |= {step.step_key: step for step in steps}
        decided = [
            Admitted(step, step.recorded) if verdict is None else Refused(step, verdict)
            for step, verdict in zip(steps, self._verdicts(steps), strict=True)
        ]
        return self._take(advance(self.plan, self.state, holding(self.plan, self.state, decided, self.held_max)))

    def release(self, key: str) -> list[Release]:
        """Decide a release, which may come when nobody waits for it."""
        self._sequence += 1
        held = self._steps.get(key)
        if held is None or held.sequence not in self.state.waiting:
            self.state = replace(self.state, cursor=self._sequence)
            return []
        record = Candidate(self._sequence, "t", RELEASE, f"release-{self._sequence}", "{}", "")
        step = replace(held, sequence=self._sequence)
        (verdict,) = self._verdicts([step])
        at = (self.plan, self.state, record, held)
        if verdict is None:
            return self._take(released(*at, held.recorded))
        return self._take(kept(*at) if waits(self.plan, Refused(step, verdict)) else dropped(*at, verdict))

    def outcome(self) -> Outcome:
        """All that was decided."""
        held = {step.sequence: key for key, step in self._steps.items()}
        waiting = frozenset(held[sequence] for sequence in self.state.waiting)
        return Outcome(self.decisions, self.state.head, waiting, frozenset(self.released))

    def _verdicts(self, steps: Sequence[Candidate]) -> Sequence[Refusal | None]:
        once = [{name: value for name, value in step.recorded if name in self._once} for step in steps]
        (verdicts,) = self._gate.decide([LawCase(self.state, steps, once)])
        return verdicts

    def _take(self, proposal: Proposal) -> list[Release]:
        self.state = proposal.after
        self.decisions |= {row.step_key: row.code for row in proposal.rejections}
        self.decisions |= {event.step_key: event.event_id for event in proposal.events}
        held = {step.sequence: key for key, step in self._steps.items()}
        bodies = [body for row in proposal.outbox if row.kind == "step" for body in orjson.loads(row.body)]
        keys = [held[body["data"]["held"]] for body in bodies]
        self.released += [f"{body['id'].partition('/')[0]} {key}" for body, key in zip(bodies, keys, strict=True)]
        return [Release(key) for key in keys]


def grown(plan: Plan, steps: Sequence[Published], rng: Random) -> list[Sent]:
    """The stream that these steps make, each release coming some time after the turn that it follows from."""
    thread, left, stream, flying = Thread(plan), list(steps), list[Sent](), list[Release]()
    while left or flying:
        if flying and (not left or rng.random() < 0.4):
            one = flying.pop(rng.randrange(len(flying)))
            stream.append(one)
            flying += thread.release(one.key)
        else:
            stream.append(left[0])
            flying += thread.turn([left.pop(0)])
    return stream


def decided(plan: Plan, stream: Sequence[Sent], rng: Random | None = None, held_max: int = HELD_MAX) -> Outcome:
    """What the stream decides, one step a turn, or cut by random; a release takes a turn of its own."""
    thread, batch = Thread(plan, held_max), list[Published]()
    for one in stream:
        if isinstance(one, Release) or (batch and (rng is None or rng.random() < 0.3)):
            if batch:
                thread.turn(batch)
            batch = []
        if isinstance(one, Release):
            thread.release(one.key)
        else:
            batch.append(one)
    if batch:
        thread.turn(batch)
    return thread.outcome()
