"""The permit machine with steps that ask a model, wait for others, fail, or are granted to nobody; and a model that
ends its run in the way that the step asks for."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from pydantic import BaseModel
from pydantic_ai import models as pydantic_models
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.usage import RequestUsage

from relmachine import Budget, Machine, Section, View
from relmachine.kernel.answer import Reason
from relmachine.machine.loader import load
from tests import permit

pydantic_models.ALLOW_MODEL_REQUESTS = False

HANGS = "hangs"
"""A run that waits until it is cancelled."""

LATE = "late"
"""A run that is overtaken once, and then done."""

ENTERS_SECONDS, WAITS_SECONDS = 600.0, 0.2
"""How long the two steps that may come too early are held: longer than any test, and hardly."""


class Asked(BaseModel):
    """Which end the run is to have, and on which thread it is."""

    end: str
    thread: str


class Thought(BaseModel):
    """What the model says."""

    thought: str


class Crowd:
    """Who has a part in how runs end. `overtake` puts in, for the n-th time on that thread, a step that its run looks
    at; it is called on the node's `loop`, since the model is asked in another. `hanging` counts runs that wait to be
    cancelled.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, overtake: Callable[[str, int], Coroutine[Any, Any, None]]
    ) -> None:
        self.hanging = 0
        self._loop, self._overtake = loop, overtake
        self._overtaken: Counter[str] = Counter()

    async def answer(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        """What a model says to the prompt `END THREAD`."""
        end, thread = str(messages[0].parts[-1].content).split()  # pyright: ignore
        if end == HANGS:
            self.hanging += 1
            await asyncio.Event().wait()
        if end == Reason.OVERTAKEN or (end == LATE and not self._overtaken[thread]):
            self._overtaken[thread] += 1
            overtaking = self._overtake(thread, self._overtaken[thread])
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(overtaking, self._loop))
        return _said(end, len(messages))


def _said(end: str, messages: int) -> ModelResponse:
    match end:
        case Reason.CAP:
            return ModelResponse(parts=[ToolCallPart("look", {"at": messages})])
        case Reason.NO_PROGRESS:
            return ModelResponse(parts=[ToolCallPart("look", {"at": 0})])
        case Reason.BUDGET:
            return ModelResponse(
                parts=[ToolCallPart("look", {"at": messages})], usage=RequestUsage(output_tokens=10_000)
            )
        case Reason.FATAL:
            return ModelResponse(parts=[TextPart("I would rather not say.")])
        case _:
            return ModelResponse(parts=[ToolCallPart("final_result", {"thought": end})])


def machine() -> Machine:
    """Without its model, which the flood binds."""
    made = load(permit.YAML)
    made.claim("observed")
    made.claim("entered", requires=["observed"])
    made.claim("waited", requires=["observed"])
    made.field("symptoms", str, reducer="union")
    made.field("thoughts", str, reducer="union")
    made.step("observe", kind="process", asserts=["observed"], writes={"symptoms": "symptom"})
    made.step("note", kind="process", writes={"thoughts": "thought"})
    made.step("sealed", kind="process")
    for name, claim, seconds in (("enter", "entered", ENTERS_SECONDS), ("wait", "waited", WAITS_SECONDS)):
        made.step(name, kind="process", asserts=[claim], on_missing="defer", hold_seconds=seconds)

    @made.process(reads=["symptoms"], name="fail")
    def fail(step: Asked, view: View) -> Section:
        raise ValueError("no")

    @made.tool()
    def look(at: int) -> str:
        """Look somewhere."""
        return f"nothing at {at}"

    @made.derivation(
        output=Thought,
        reads=["symptoms"],
        writes={"thoughts": "thought"},
        tools=[look],
        budget=Budget(passes=3, repeats=1, failures=2, tokens=5_000),
    )
    def think(step: Asked, view: View) -> str:
        return f"{step.end} {step.thread}"

    return made


def bind(made: Machine, crowd: Crowd) -> None:
    """Give the machine its model."""
    made.model("default", FunctionModel(crowd.answer))
