"""The closed registry of a run's tools: nothing else is ever called, and nothing with arguments that do not parse."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

from pydantic import ValidationError
from pydantic_ai import Tool as ModelTool
from pydantic_ai.tools import ToolDefinition
from pydantic_core import PydanticSerializationError, from_json, to_json

from relmachine.engine.runs.decisions import Found
from relmachine.engine.runs.own_tools import PUBLISH, OwnTools
from relmachine.engine.runs.running import Running
from relmachine.engine.runs.threads import Raised, in_thread
from relmachine.engine.words import problems, said, too_large
from relmachine.errors import Code, RelmError
from relmachine.kernel.answer import FOLLOW_UPS_MAX, Decision
from relmachine.machine.runs import Tool


@dataclass(frozen=True, slots=True)
class Call:
    """A call that can be made: `arguments` is JSON text with sorted keys, `values` what the function takes."""

    call_id: str
    name: str
    arguments: str
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Misuse:
    """A call that is not made, and the sentence that goes back to the model."""

    call_id: str
    name: str
    arguments: str
    sentence: str


class Registry:
    """The tools of a run's step: declared ones, and those that every agent may have."""

    def __init__(self, running: Running) -> None:
        run = running.plan
        self._running = running
        self._declared: Mapping[str, Tool] = {tool.name: tool for tool in run.tools}
        self._own = OwnTools(running.request)
        self._tools = {
            **{name: _own_tool(name) for name in run.own_tools},
            **{tool.name: _declared_tool(tool.name, tool.function) for tool in run.tools},
        }

    def definitions(self) -> list[ToolDefinition]:
        """What a model is told of them."""
        return [tool.tool_def for tool in self._tools.values()]

    def understood(self, call_id: str, name: str, arguments: str) -> Call | Misuse:
        """The call that `arguments`, which may be any text, make of tool `name`, which may be any name."""
        tool = self._tools.get(name)
        if tool is None:
            sentence = f"there is no tool {name[:100]!r}: use one of {sorted(self._tools)}"
            return Misuse(call_id, name, arguments, sentence)
        try:
            values = tool.function_schema.validator.validate_json(arguments or "{}", strict=False)
            plain = from_json(arguments or "{}", allow_inf_nan=False)
            text = json.dumps(plain, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        except ValidationError as error:
            return Misuse(call_id, name, arguments, f"arguments of {name!r} are not valid: {problems(error)}")
        except (
            Exception
        ) as error:  # JSON has neither NaN nor infinities; a validator of the author's may raise anything
            return Misuse(call_id, name, arguments, f"arguments of {name!r} are not valid: {said(error)}")
        return Call(call_id, name, text, cast(dict[str, object], values))

    async def call(self, call: Call) -> Decision:
        """Make a call through the recorder, within the budget. A publication counts when it succeeds."""
        over = self._running.spending.tools_over()
        if over is not None:
            raise self._running.out_of_budget(over)
        decision = await self._running.recorder.see("tool", call.name, (call.arguments,), lambda: self._found(call))
        if call.name == PUBLISH and not decision.error and call.name not in self._declared:
            arguments = from_json(call.arguments)
            self._running.propose(arguments["step"], arguments["data"])
        return decision

    async def _found(self, call: Call) -> Found:
        """The result as JSON text; what fails is an error, whatever it is."""
        try:
            return _result(await self._made(call), self._running.limits.answer_text_bytes_max)
        except RelmError as error:
            return Found(error=f"{error.code}: {error.sentence}")

    async def _made(self, call: Call) -> object:
        declared = self._declared.get(call.name)
        if declared is not None and not declared.trusted:
            return await self._running.processes.call(declared, from_json(call.arguments))
        if declared is None and call.name == PUBLISH and len(self._running.proposals) >= FOLLOW_UPS_MAX:
            sentence = f"{FOLLOW_UPS_MAX} steps are proposed, and no more may be: answer"
            raise RelmError(Code.OUTPUT_INVALID, sentence, follow_ups_max=FOLLOW_UPS_MAX)
        if declared is None:
            own = getattr(self._own, call.name)
            outcome = await self._running.solver.ask(lambda: own(**call.values))
        else:
            outcome = await in_thread(lambda: _awaited(declared.function(**call.values)))
        if isinstance(outcome, Raised):
            if isinstance(outcome.error, RelmError):
                raise outcome.error
            raise RelmError(Code.TOOL_FAILED, f"tool {call.name!r} raised {said(outcome.error)}")
        return outcome.value


def _result(value: object, bytes_max: int) -> Found:
    try:
        content = to_json(value, inf_nan_mode="null")
    except (PydanticSerializationError, ValueError) as error:
        return Found(error=f"{Code.TOOL_FAILED}: the result has no JSON form: {said(error)}")
    if len(content) > bytes_max:
        return Found(error=too_large("the result", content, bytes_max))
    return Found(value=content.decode())


def _awaited(value: object) -> object:
    """The result of a tool; one that is a coroutine function is awaited in its thread."""
    return asyncio.run(cast(Coroutine[object, object, object], value)) if asyncio.iscoroutine(value) else value


@lru_cache(maxsize=1024)
def _declared_tool(name: str, function: Callable[..., object]) -> ModelTool[None]:
    return ModelTool(function, takes_ctx=False, name=name)


@lru_cache(maxsize=16)
def _own_tool(name: str) -> ModelTool[None]:
    """The schema of an own tool: of its method without a run, so that no run is kept by it."""
    return ModelTool(getattr(object.__new__(OwnTools), name), takes_ctx=False, name=name)
