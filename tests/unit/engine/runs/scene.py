"""A machine with detached steps, models that do what a test says, and a carrier that is given both."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
from pydantic_ai import models as pydantic_models
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models import Model
from pydantic_ai.models.function import AgentInfo, FunctionModel

from relmachine.engine.models.cost import cost_of
from relmachine.engine.runs.carrier import RunCarrier
from relmachine.engine.runs.port import Carried, Keep, Mode, RunRequest
from relmachine.errors import Code, RelmError
from relmachine.kernel.answer import Answer, Decision, Usage
from relmachine.kernel.frozen import Frozen, freeze
from relmachine.kernel.limits import Limits
from relmachine.kernel.state import ThreadState, initial_state
from relmachine.machine import Machine
from relmachine.machine.runs import Budget, Tool
from relmachine.machine.view import View

pydantic_models.ALLOW_MODEL_REQUESTS = False

Turn = Callable[[int, list[ModelMessage], AgentInfo], Any]
"""What a model does in its n-th call, counted from 0."""


def call(name: str, arguments: Any = None) -> ModelResponse:
    """A call of one tool; `arguments` is a dict or any text."""
    return ModelResponse(parts=[ToolCallPart(name, {} if arguments is None else arguments)])


def calls(*made: tuple[str, Any]) -> ModelResponse:
    return ModelResponse(parts=[ToolCallPart(name, arguments) for name, arguments in made])


def final(**members: Any) -> ModelResponse:
    return call("final_result", members)


def prose(text: str) -> ModelResponse:
    return ModelResponse(parts=[TextPart(text)])


def scripted(*answers: Any) -> Turn:
    """The answers in order, the last one for ever. An exception is raised."""

    def turn(number: int, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        answer = answers[min(number, len(answers) - 1)]
        if isinstance(answer, BaseException):
            raise answer
        return ModelResponse(parts=list(answer.parts), usage=answer.usage)

    return turn


@dataclass
class FakeModels:
    """Models by binding, which is the name itself. Counts how often each was asked."""

    turns: dict[str, Turn]
    names: dict[str, str] = field(default_factory=dict[str, str])
    asked: list[str] = field(default_factory=list[str])
    closed: bool = False

    def binding(self, name: str) -> str:
        return name

    def cost_of(self, response: ModelResponse, binding: str) -> float:
        return cost_of(response, None)

    def resolve(self, binding: str) -> Model:
        if binding not in self.turns:
            raise RelmError(Code.MODEL_UNBOUND, f"bind model {binding!r}", model=binding)
        turn = self.turns[binding]

        async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
            self.asked.append(binding)
            answer = turn(self.asked.count(binding) - 1, messages, info)
            return await answer if asyncio.iscoroutine(answer) else answer

        return FunctionModel(respond, model_name=self.names.get(binding, binding))

    async def close(self) -> None:
        self.closed = True


@dataclass
class FakeProcesses:
    """Calls untrusted tools here, and counts."""

    called: list[str] = field(default_factory=list[str])

    async def call(self, tool: Tool, arguments: dict[str, object]) -> object:
        self.called.append(tool.name)
        try:
            return tool.function(**arguments)
        except Exception as error:
            raise RelmError(Code.TOOL_FAILED, f"tool {tool.name!r} failed") from error

    async def close(self) -> None:
        pass


@dataclass
class Scene:
    """One step of a machine, and who answers."""

    machine: Machine
    step: str
    turns: dict[str, Turn] = field(default_factory=dict[str, Turn])
    payload: dict[str, Any] = field(default_factory=dict[str, Any])
    state: ThreadState | None = None
    limits: Limits = field(default_factory=Limits)
    budget: Budget | None = None
    view: View | None = None

    def __post_init__(self) -> None:
        self.plan = self.machine.plan()
        self.models, self.processes = FakeModels(self.turns), FakeProcesses()
        self.carrier = RunCarrier(self.plan, self.models, self.processes, self.limits)

    def request(
        self,
        recorded: Sequence[Decision] = (),
        mode: Mode = Mode.LIVE,
        frozen: Frozen | None = None,
    ) -> RunRequest:
        step = self.plan.step(self.step)
        assert step is not None
        assert step.run is not None
        model, fallback = self.carrier.bindings(step)
        made = freeze(self.plan, step, "key", model, fallback, self.budget or step.run.budget)
        return RunRequest(
            plan=self.plan,
            step=step,
            thread="t",
            sequence=5,
            attempt=1,
            step_key="key",
            payload=orjson.dumps(self.payload).decode(),
            view=self.view or View(step.name, step.read_fields),
            state=self.state or initial_state(self.plan, "t"),
            frozen=frozen or made,
            recorded=recorded,
            mode=mode,
        )

    def run(self, keep: Keep | None = None) -> Answer:
        """Live, from the start."""
        return self.carry(self.request(), keep).answer

    def carry(self, request: RunRequest, keep: Keep | None = None) -> Carried:
        return asyncio.run(self.carrier.carry_out(request, keep))

    def playback(self, answer: Answer, frozen: Frozen | None = None) -> Carried:
        """The same run from its record, with nobody there to answer."""
        alone = replace_scene(self, turns={})
        carried = alone.carry(alone.request(answer.decisions, Mode.PLAYBACK, frozen or Frozen.load(answer.plan)))
        assert (alone.models.asked, alone.processes.called) == ([], [])
        return carried


def replace_scene(scene: Scene, **changes: Any) -> Scene:
    return replace(scene, **changes)


def timeless(answer: Answer) -> Answer:
    """The answer without the seconds of the life that made it."""
    spent = {**answer.usage.model_dump(), "seconds": 0.0, "solver_seconds": 0.0}
    return answer.model_copy(update={"usage": Usage(**spent)})


def assert_plays_back(scene: Scene, answer: Answer) -> None:
    """The record alone gives the same answer, decision by decision."""
    carried = scene.playback(answer)
    assert carried.divergences == ()
    assert timeless(carried.answer) == timeless(answer)
