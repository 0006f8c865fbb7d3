"""What one model has been told and has said, and the one way to ask it more."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, cast

from pydantic import BaseModel, TypeAdapter
from pydantic_ai.direct import model_request
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition
from pydantic_core import PydanticSerializationError

from relmachine.algebra.identity import digest
from relmachine.engine.runs.choice import Choice
from relmachine.engine.runs.found import Found
from relmachine.engine.runs.registry import too_large
from relmachine.engine.runs.running import Running, said
from relmachine.errors import Code, RelmError
from relmachine.kernel.answer import Decision
from relmachine.machine.canonical import canonical_text
from relmachine.machine.payload import normal_schema

OUTPUT_TOOL = "final_result"
"""Name of the tool by which a model gives its structured output."""

_RESPONSES = TypeAdapter(ModelResponse)
_NOT_KEPT = frozenset(
    {"timestamp", "usage", "run_id", "conversation_id", "metadata", "workspace_ref", "provider_response_id"}
)
"""Members of a response that differ each time and that no later request needs."""


@dataclass(slots=True)
class Conversation:
    """One conversation. `texts` say the same as `messages`, without times and ids: what was asked, for its digest.

    `output` is the model of a structured answer; without it any text is one.
    """

    instructions: str
    output: type[BaseModel] | None
    tools: Sequence[ToolDefinition]
    messages: list[ModelMessage] = field(default_factory=list[ModelMessage])
    texts: list[str] = field(default_factory=list[str])
    terms: str = ""

    def tell(self, text: str) -> None:
        """Say something to the model."""
        self._add(UserPromptPart(text), "user", text)

    def give(self, call_id: str, name: str, result: str, error: str) -> None:
        """Give what a tool call led to: the JSON text of a result, or an error."""
        outcome = "failed" if error else "success"
        self._add(ToolReturnPart(name, error or result, call_id, outcome=outcome), "tool", call_id, name, error, result)

    def hear(self, value: str) -> ModelResponse:
        """Take an answer of the model, as it is recorded."""
        response = _RESPONSES.validate_json(value)
        self.messages.append(response)
        self.texts += ("model", value)
        return response

    async def ask(self, running: Running, choice: Choice) -> Decision:
        """The model's next answer, through the recorder."""
        question = (self._terms(), *self.texts)
        place = len(running.recorder.decisions)

        async def found() -> Found:
            try:
                response = await model_request(
                    choice.resolve(),
                    list(self.messages),
                    model_settings=ModelSettings(seed=running.request.frozen.seed),
                    model_request_parameters=self._parameters(),
                    instrument=False,
                )
            except RelmError as error:
                return Found(error=f"{error.code}: {error.sentence}")
            except asyncio.CancelledError as error:
                if _is_cancelled():
                    raise
                return Found(error=f"{Code.MODEL_FAILED}: {said(error)}")
            except Exception as error:  # a provider's client may raise anything: it is what the run saw
                return Found(error=f"{Code.MODEL_FAILED}: {said(error)}")
            return _found(response, place, running.limits.answer_text_bytes_max)

        return await running.recorder.see("model", choice.name, question, found)

    def _terms(self) -> str:
        """Digest of all that a model is told but for the messages."""
        if not self.terms:
            tools = [canonical_text([tool.name, tool.description, tool.parameters_json_schema]) for tool in self.tools]
            output = "" if self.output is None else canonical_text(normal_schema(self.output))
            self.terms = digest("terms", self.instructions, output, *tools)
        return self.terms

    def _parameters(self) -> ModelRequestParameters:
        if self.output is None:
            return ModelRequestParameters(function_tools=list(self.tools))
        tool, described = _described(self.output)
        return ModelRequestParameters(
            function_tools=list(self.tools),
            output_mode="auto",
            output_object=described,
            output_tools=[tool],
            allow_text_output=False,
        )

    def _add(self, part: ModelRequestPart, *texts: str) -> None:
        """Parts between two answers make one request."""
        self.texts += texts
        before: Sequence[ModelRequestPart] = ()
        if self.messages and isinstance(self.messages[-1], ModelRequest):
            before = self.messages[-1].parts
            self.messages.pop()
        self.messages.append(ModelRequest([*before, part], instructions=self.instructions or None))


def _is_cancelled() -> bool:
    """Whether it is this task that somebody cancels, and not a client that cancels something of its own."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


@lru_cache(maxsize=1024)
def _described(output: type[BaseModel]) -> tuple[ToolDefinition, OutputObjectDefinition]:
    """An output as models are told of it: as a tool, and as an object for those that take a schema."""
    schema, about = output.model_json_schema(), output.__doc__ or "Give the answer."
    tool = ToolDefinition(name=OUTPUT_TOOL, parameters_json_schema=schema, description=about, kind="output")
    return tool, OutputObjectDefinition(json_schema=schema, name=output.__name__, description=about)


def _found(response: ModelResponse, place: int, bytes_max: int) -> Found:
    """An answer as it is recorded. Calls are numbered anew: ids of providers differ each time."""
    parts = [
        replace(part, tool_call_id=f"c{place % 10_000:04}{number % 10_000:04}")
        if isinstance(part, ToolCallPart)
        else part
        for number, part in enumerate(response.parts)
    ]
    tokens, cost = response.usage.total_tokens, _cost(response)
    try:
        content = _RESPONSES.dump_json(replace(response, parts=parts), exclude=cast(Any, _NOT_KEPT), exclude_none=True)
    except PydanticSerializationError as error:
        return Found(error=f"{Code.TEXT_INVALID}: the answer is no text: {said(error)}", tokens=tokens, cost=cost)
    if len(content) > bytes_max:
        return Found(error=too_large("the answer", content, bytes_max), tokens=tokens, cost=cost)
    return Found(value=content.decode(), tokens=tokens, cost=cost)


def _cost(response: ModelResponse) -> float:
    """US dollars, as far as the price of the model is known."""
    try:
        return float(response.cost().total_price)
    except (AssertionError, LookupError, ValueError):
        return 0.0
