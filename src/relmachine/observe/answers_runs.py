"""Answers about runs: steps that are carried out outside their turn."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from relmachine.observe.answers import Answer


class RunLine(Answer):
    """A run in a list. What was spent is that of all attempts that were answered."""

    request: int = Field(description="Stream sequence of the step that runs")
    step: str
    step_key: str = Field(description="JSON array of the step's source and id")
    model: str = Field(description="What its model is bound to; empty when it asks none")
    fallback: str = Field(description="The same of the model that goes on when the first fails")
    attempts: int = Field(description="How often it began: again when it was overtaken")
    answered: int | None = Field(description="Stream sequence of the answer that ended it; null while it is open")
    state: Literal["open", "committed", "aborted"]
    reason: str = Field(description="Why the last attempt ended: done, cap, fatal, no_progress, cancelled, budget, …")
    code: str = Field(description="Why its step is no event; empty when it is one, or is open")
    passes: int
    model_calls: int
    tool_calls: int
    tokens: int
    cost: float = Field(description="US dollars, as far as prices are known")
    seconds: float
    solver_seconds: float = Field(description="Of them, those of the tools that answer from the machine")


class Runs(Answer):
    """One page of a thread's runs, by request."""

    thread: str
    runs: list[RunLine]
    after: int | None = Field(description="Ask with this `after` for the next page; null on the last")


class Pass(Answer):
    """One pass of a run: a model's answer and the tool calls that it led to."""

    number: int
    decision: Literal["answer", "call", "retry", "fail"]
    tool: str
    input: str
    output: str
    error: str
    state: str = Field(description="Digest of all that was found so far")


class Decision(Answer):
    """Something that a run saw and could not know beforehand."""

    kind: Literal["model", "tool", "time", "id"]
    name: str
    asked: str = Field(description="Digest of the question")
    value: str = Field(description="JSON text of what came")
    error: str = Field(description="What came instead")
    tokens: int
    cost: float
    seal: str = Field(description="Digest of the rest")


class FollowUp(Answer):
    """A step that a run proposed."""

    step: str
    data: str = Field(description="JSON text of the payload")


class Failure(Answer):
    """Why a run has no output."""

    code: str
    sentence: str
    witness: str = Field(description="JSON text")


class Attempt(Answer):
    """One attempt of a run; after `answered` what its answer says."""

    attempt: int
    began: int = Field(description="Stream sequence of the message at which it began")
    answered: int | None = Field(description="Stream sequence of its answer; null while there is none")
    reason: str
    contributions: dict[str, str] = Field(description="JSON text by field")
    follow_ups: list[FollowUp]
    failure: Failure | None
    passes: list[Pass]
    decisions: list[Decision]


class Run(RunLine):
    """One run, whole."""

    thread: str
    payload: dict[str, object]
    evidence: dict[str, str | int] = Field(description="Who published the step, when, the trace it is part of")
    plan: dict[str, object] = Field(description="The frozen plan it was opened with: digests, bindings, budget, seed")
    outcome: dict[str, object] | None = Field(description="What became of the step; null while it is open")
    attempts_made: list[Attempt]


class RunsTold(Runs):
    """The same for who asks for all runs or for one."""

    run: Run | None = Field(default=None, description="The run that was asked for")
