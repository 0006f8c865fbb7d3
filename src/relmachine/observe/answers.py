"""What is answered to people, agents and programs: one wire model per question, the same over HTTP and MCP."""

from __future__ import annotations

from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from relmachine.errors import Code


class Answer(BaseModel):
    """Base of all answers: immutable, and nothing slips in unnamed."""

    model_config = ConfigDict(frozen=True, extra="forbid")


_A = TypeVar("_A", bound=Answer)


def answer(kind: type[_A], found: object) -> _A:
    """What was `found` (a value of `store.reading`) as an answer of that kind."""
    return kind.model_validate(found, from_attributes=True)


class Problem(Answer):
    """Why something cannot be given. Every error has these members."""

    code: Code = Field(description="The reason, for programs; never renamed")
    sentence: str = Field(description="What to do, for people")
    witness: dict[str, object] = Field(default_factory=dict[str, object], description="What shows that it is so")


class StepRefused(Problem):
    """A step that a gate refused. It changed nothing but the list of rejections, where `sequence` finds it."""

    gate: str = Field(description="shape, policy, laws or engine: who refused, in the order asked")
    thread: str
    sequence: int | None = Field(description="Stream sequence; null when refused early, before it reached the stream")
    repeated: bool = Field(default=False, description="Whether the step had been published before, and refused then")


class StepAccepted(Answer):
    """The stream holds the step; its thread's turn decides it. Ask for the outcome at `sequence`."""

    thread: str
    sequence: int = Field(description="Where in the stream the step is")
    duplicate: bool = Field(description="Whether the stream held it already, by the step's source and id")
    key: str = Field(default="", description="Step key: the JSON array of the step's source and id")


class Transition(Answer):
    """A claim that a step settled or superseded."""

    claim: str
    kind: Literal["newly", "superseded"]
    history_before: str
    history_after: str


class StepCommitted(Answer):
    """A step that passed every gate and is part of its thread's history."""

    outcome: Literal["committed"] = "committed"
    thread: str
    sequence: int = Field(description="Stream sequence at which the step was committed")
    repeated: bool = Field(description="Whether the step had been published before: nothing changed this time")
    event: str = Field(description="Event id")
    history: str = Field(description="Id of the history that the step led to")
    transitions: list[Transition] = Field(description="What the step newly settled or superseded")


class StepOpened(Answer):
    """A step that runs outside its turn: every gate let it begin, and it has no outcome yet."""

    outcome: Literal["opened"] = "opened"
    thread: str
    sequence: int = Field(description="Stream sequence of the step: ask for its outcome there")
    repeated: bool = Field(description="Whether the step had been published before: nothing changed this time")


class StepHeld(Answer):
    """A step that waits for claims that it needs: it is decided again when they are effective, or refused in time."""

    outcome: Literal["held"] = "held"
    thread: str
    sequence: int = Field(description="Stream sequence of the step: ask for its outcome there")
    repeated: bool = Field(description="Whether the step had been published before: nothing changed this time")
    missing: list[str] = Field(description="Claims that were not effective when it came")


class RecordApplied(Answer):
    """A fork, merge, closing or resolution that took effect, an answer that let a run begin again, or a
    release of a step that waits still.
    """

    outcome: Literal["applied"] = "applied"
    record: str = Field(description="_fork, _merge, _close, _resolve, _answer or _release")
    thread: str
    sequence: int = Field(description="Stream sequence of the record")
    repeated: bool = Field(description="Whether it had been published before: nothing changed this time")
    history: str = Field(description="Id of the thread's history after it")
    details: dict[str, object] = Field(description="What it did: source, target, events, left_out, obstruction, keep")
    transitions: list[Transition] = Field(description="What it newly settled or superseded, as a whole")


class Asked(Answer):
    """What became of a control record that was published and not refused."""

    accepted: StepAccepted
    applied: RecordApplied | None = Field(description="Null when not waited for, or not decided within the wait")


class Published(Answer):
    """What became of a step that was published and not refused."""

    accepted: StepAccepted
    committed: StepCommitted | None = Field(description="Null when not waited for, or not decided within the wait")
    opened: StepOpened | None = Field(default=None, description="The step runs outside its turn: ask again later")
    held: StepHeld | None = Field(default=None, description="The step waits for what it needs: ask again later")


class Health(Answer):
    """Whether the node takes steps."""

    ready: bool
    phase: str
