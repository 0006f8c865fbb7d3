"""A run as the engine sees it: what it is asked, and whom it asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from relmachine.kernel.answer import Answer, Decision, Pass
from relmachine.kernel.detached import OpenRun
from relmachine.kernel.frozen import Frozen
from relmachine.kernel.state import ThreadState
from relmachine.machine.plan import Plan, StepPlan
from relmachine.machine.runs import Tool
from relmachine.machine.view import View

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelResponse
    from pydantic_ai.models import Model


class Mode(StrEnum):
    """`live` asks whatever is not recorded yet; `playback` asks nobody; `resimulate` asks everything again."""

    LIVE = "live"
    PLAYBACK = "playback"
    RESIMULATE = "resimulate"


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A step to carry out: `step` is detached, `payload` its canonical JSON, `view` what its closure sees, `state` the
    thread at that point (only claims that the step may look at are told to a model).

    `recorded` are decisions of an earlier life of this run, in order, or those of a run that is played back.
    """

    plan: Plan
    step: StepPlan
    thread: str
    sequence: int
    attempt: int
    step_key: str
    payload: str
    view: View
    state: ThreadState
    frozen: Frozen
    recorded: Sequence[Decision] = ()
    mode: Mode = Mode.LIVE

    @classmethod
    def of(
        cls,
        plan: Plan,
        run: OpenRun,
        seen: tuple[ThreadState, View],
        frozen: Frozen,
        recorded: Sequence[Decision] = (),
        mode: Mode = Mode.LIVE,
    ) -> RunRequest:
        """The attempt of `run` that runs now; `seen` is the thread as it stands, and what the step sees of it."""
        step, (state, view) = run.candidate, seen
        return cls(
            plan=plan,
            step=plan.steps[plan.step_index[step.step]],
            thread=step.thread,
            sequence=step.sequence,
            attempt=run.attempt,
            step_key=step.step_key,
            payload=step.payload,
            view=view,
            state=state,
            frozen=frozen,
            recorded=recorded,
            mode=mode,
        )


class Keep(Protocol):
    """Keeps what a run saw, before the run goes on with it."""

    async def __call__(self, place: int, decision: Decision) -> None:
        """Durable when it returns, for a durable run. `place` counts from 0. Twice the same does no harm."""
        ...


Passed = Callable[[Pass], None]
"""Hears of each pass as it is made, those of an earlier life too; called in the loop of the run."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where a run that was carried out again differs from what is recorded: `place` counts decisions from 0."""

    place: int
    what: str
    recorded: str
    found: str


@dataclass(frozen=True, slots=True)
class Carried:
    """How a run ended, and in a replay the first difference from the record."""

    answer: Answer
    divergences: Sequence[Divergence] = field(default_factory=tuple[Divergence, ...])


class ModelSource(Protocol):
    """Where models come from."""

    def binding(self, name: str) -> str:
        """What `name` is bound to now: the text that frozen plans and decisions hold. Errors: `model_unbound`."""
        ...

    def resolve(self, binding: str) -> Model:
        """The model of a binding. It retries and breaks circuits as it sees fit. Errors: `model_unbound`."""
        ...

    def cost_of(self, response: ModelResponse, binding: str) -> float:
        """US dollars for an answer of `binding`; 0.0 when nobody knows."""
        ...

    async def close(self) -> None:
        """Let go of clients."""
        ...


class ToolRunner(Protocol):
    """Where tools run that nobody trusts."""

    async def call(self, tool: Tool, arguments: dict[str, object]) -> object:
        """What `tool` returns, as plain JSON values; `arguments` are plain too. Errors: `tool_failed`."""
        ...

    async def close(self) -> None:
        """End the processes."""
        ...


class Carrier(Protocol):
    """Carries out runs; implemented by `engine.runs.carrier`."""

    def bindings(self, step: StepPlan) -> tuple[str, str]:
        """The bindings of the step's model and of its fallback as of now, empty where there is none."""
        ...

    async def carry_out(self, request: RunRequest, keep: Keep | None = None, passed: Passed | None = None) -> Carried:
        """Run to an end: within its budget, whatever a model does. Never raises for what closures, tools or models do.

        A task that is cancelled raises CancelledError at once; who cancelled says what that means.
        """
        ...

    async def close(self) -> None:
        """Let go of clients and processes."""
        ...
