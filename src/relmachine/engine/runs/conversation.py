"""What one model has been told and has said, and the one way to ask it more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from pydantic import BaseModel
from pydantic_ai.direct import model_request
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from relmachine.algebra.identity import digest
from relmachine.engine.models.deadline import give_up_at
from relmachine.engine.runs.choice import Choice
from relmachine.engine.runs.decisions import Found
from relmachine.engine.runs.model_answer import RESPONSES, caught, recorded
from relmachine.engine.runs.running import Running
from relmachine.kernel.answer import Decision
from relmachine.machine.canonical import canonical_text
from relmachine.machine.payload import normal_schema

OUTPUT_TOOL = "final_result"
"""Name of the tool by which a model gives its structured output."""


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
        response = RESPONSES.validate_json(value)
        self.messages.append(response)
        self.texts += ("model", value)
        return response

    async def ask(self, running: Running, choice: Choice) -> Decision:
        """The model's next answer, through the recorder."""
        question = (self._terms(), *self.texts)
        place = len(running.recorder.decisions)

        async def found() -> Found:
            with give_up_at(choice.until or running.shares.agent, cuts=choice.until is not None):
                response = await model_request(
                    choice.resolve(),
                    list(self.messages),
                    model_settings=ModelSettings(seed=running.request.frozen.seed),
                    model_request_parameters=self._parameters(),
                    instrument=False,
                )
            cost = running.models.cost_of(response, choice.binding)
            return recorded(response, cost, place, running.limits.answer_text_bytes_max)

        return await running.recorder.see("model", choice.name, question, lambda: caught(found, choice.until))

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


@lru_cache(maxsize=1024)
def _described(output: type[BaseModel]) -> tuple[ToolDefinition, OutputObjectDefinition]:
    """An output as models are told of it: as a tool, and as an object for those that take a schema."""
    schema, about = output.model_json_schema(), output.__doc__ or "Give the answer."
    tool = ToolDefinition(name=OUTPUT_TOOL, parameters_json_schema=schema, description=about, kind="output")
    return tool, OutputObjectDefinition(json_schema=schema, name=output.__name__, description=about)
