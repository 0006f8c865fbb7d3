"""The control lane: what a thread can be told ahead of its steps, and the effect that it had.

A lane record is a CloudEvent on `relm.<machine>.control.<thread>`; its `type` is one of `LANE`, its `data` one of the
models here. It takes effect in the store at once, between two turns of the thread, and what took effect, where, is an
`Effect`. Source: `docs/control.md`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, model_validator

from relmachine.kernel.record import Record

CANCEL, PAUSE, RESUME, CLOSE_LANE, BUDGET = "cancel", "pause", "resume", "close", "budget"

LaneName = Literal["cancel", "pause", "resume", "close", "budget"]
EffectOutcome = Literal["applied", "unchanged", "repeated", "refused"]
"""It took effect; it asks for what is so already, or comes too late; its key was there before; a gate refused it."""

_COUNT_MAX = 2**53
"""Largest number that every reader of JSON reads exactly."""

_Reason = Annotated[str, Field(min_length=1, max_length=1000)]
_Count = Annotated[int, Field(ge=0, lt=_COUNT_MAX)]
_Amount = Annotated[float, Field(ge=0, lt=_COUNT_MAX, allow_inf_nan=False)]


class Cancel(Record):
    """Nothing changes the thread's history any more. With `request`, only the run of the step at that sequence ends, or
    never begins."""

    reason: _Reason
    request: Annotated[int, Field(ge=1, lt=2**63)] | None = None


class Pause(Record):
    """The thread's turns wait; what is published waits with them."""

    reason: _Reason


class Resume(Record):
    """A paused thread goes on."""


class CloseThread(Record):
    """No more steps are admitted; the history stays as it is."""

    reason: _Reason


class SetBudget(Record):
    """What the runs of the thread may still spend, from here on; a member that is not given has no bound."""

    tokens: _Count | None = None
    cost: _Amount | None = None
    """In the currency of the model's prices."""
    wall_seconds: _Amount | None = None
    solver_seconds: _Amount | None = None
    """Of the tools that answer from the machine (`docs/agents.md`)."""
    tool_calls: _Count | None = None

    @model_validator(mode="after")
    def _says_something(self) -> SetBudget:
        if all(getattr(self, name) is None for name in SetBudget.model_fields):
            raise ValueError(f"give at least one of {', '.join(SetBudget.model_fields)}")
        return self


LANE: dict[str, type[Record]] = {
    CANCEL: Cancel,
    PAUSE: Pause,
    RESUME: Resume,
    CLOSE_LANE: CloseThread,
    BUDGET: SetBudget,
}
"""The records by CloudEvents type."""


def policy_step(record: str) -> str:
    """The step name under which the policy is asked about a lane record."""
    return f"_{record}"


@dataclass(frozen=True, slots=True)
class Asked:
    """A lane record that the gates have seen. `sequence` is that in the control stream; `refusal` is the JSON text of
    why a gate refused it, empty when none did. `label`, `head` and `state` are those of the thread before its first
    step, for one that nothing was decided on yet. `astray` says that the step whose run it cancels was never published.
    """

    thread: str
    sequence: int
    record: str
    step_key: str
    payload: str
    evidence: str
    refusal: str
    label: str
    head: str
    state: str
    astray: bool = False


class Effect(NamedTuple):
    """What became of a lane record: a row of `control_effects`.

    `at_seq` and `at_head` are the thread's cursor and history when it took effect, `epoch` the thread's epoch after it.
    `payload` and `evidence` are JSON; `refusal` is JSON with `code`, `gate`, `sentence`, `witness`, or empty.
    """

    thread: str
    control_seq: int
    record: str
    step_key: str
    at_seq: int
    at_head: str
    epoch: int
    payload: str
    evidence: str
    outcome: str
    refusal: str


class Foretold(NamedTuple):
    """An effect that an earlier store had: it takes hold where the thread's cursor comes to `at_seq`.

    `place` numbers the effects of a thread in the order in which they took hold. `begun` says whether the thread had
    begun by then; `label`, `head` and `state` are those of the thread before its first step.
    """

    thread: str
    place: int
    control_seq: int
    record: str
    step_key: str
    at_seq: int
    payload: str
    evidence: str
    outcome: str
    refusal: str
    begun: bool
    label: str
    head: str
    state: str
