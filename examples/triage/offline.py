"""The model of the demo: rules in place of a language model, so that it needs no network and says the same each time.

To the node it is a model as any other. It looks before it judges, and its first judgement is in words of its own,
which is no valid answer: so every demo shows a pass that is made again.
"""

from __future__ import annotations

from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ModelResponsePart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel

CLUES = {"disk_full": "no space left", "bad_deploy": "no such column", "overload": "timed out"}
"""What a log says when a cause is behind it."""


def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """The next answer of a conversation: `info` has the tools, `messages` all that was said so far."""
    prompt, results = _told(messages)
    asked = info.output_tools[0].name if info.output_tools else None
    if asked is None:
        return ModelResponse(_report(prompt, results))
    return ModelResponse(_hypothesis(prompt, results, asked))


def _hypothesis(prompt: str, results: dict[str, str], output: str) -> list[ModelResponsePart]:
    known = _lines(prompt)
    if "service_facts" not in results:
        return [
            ToolCallPart("settled", {}),
            ToolCallPart("service_facts", {"service": known["service"]}),
            ToolCallPart("parse_log_line", {"line": known["log"]}),
        ]
    if output not in results:  # nobody has told it yet what is wrong with this answer
        return [ToolCallPart(output, {"cause": "the disk is full, I think", "certainty": "high"})]
    if "publish" not in results:
        return [ToolCallPart("publish", {"step": "verify", "data": {}})]
    seen = results["parse_log_line"].lower()
    cause = next((cause for cause, clue in CLUES.items() if clue in seen), "overload")
    return [ToolCallPart(output, {"cause": cause, "certainty": "low" if known.get("objections") else "high"})]


def _report(prompt: str, results: dict[str, str]) -> list[ModelResponsePart]:
    if "settled" not in results:
        return [ToolCallPart("settled", {})]
    known = _lines(prompt)
    return [
        TextPart(f"{known['service']}: {known['symptoms']}. The cause is {known['causes']}, and metrics confirm it.")
    ]


def _told(messages: list[ModelMessage]) -> tuple[str, dict[str, str]]:
    """The prompt, and what each tool gave last, by its name."""
    parts = [part for message in messages if isinstance(message, ModelRequest) for part in message.parts]
    prompt = next(str(part.content) for part in parts if isinstance(part, UserPromptPart))
    return prompt, {part.tool_name: str(part.content) for part in parts if isinstance(part, ToolReturnPart)}


def _lines(prompt: str) -> dict[str, str]:
    """The lines `Name: value` of a prompt."""
    pairs = (line.partition(": ") for line in prompt.splitlines())
    return {name: value for name, colon, value in pairs if colon}


model = FunctionModel(answer, model_name="rules")
