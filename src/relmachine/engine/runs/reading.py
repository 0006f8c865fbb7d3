"""What a model's answer amounts to: an output, calls of tools, or nothing that counts. Pure; nothing is executed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ValidationError
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
from pydantic_core import to_json

from relmachine.engine.runs.conversation import OUTPUT_TOOL
from relmachine.engine.runs.registry import Call, Misuse, Registry
from relmachine.engine.words import problems, said
from relmachine.errors import RelmError

Accept = Callable[[BaseModel], object]
"""What an output is taken for. Errors: `RelmError` when it does not fit, which goes back to the model."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A valid output: `text` as the model gave it, `taken` what it is taken for."""

    text: str
    taken: object


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls of tools, of which some may be misuses."""

    calls: Sequence[Call | Misuse]


@dataclass(frozen=True, slots=True)
class Invalid:
    """Nothing that counts. `sentence` goes back to the model, as the answer to each of its calls when it made some."""

    sentence: str
    text: str = ""
    calls: Sequence[ToolCallPart] = ()


Read = Answered | Calls | Invalid


def read(response: ModelResponse, output: type[BaseModel] | None, accept: Accept, tools: Registry | None) -> Read:
    """Without an `output` any text is the answer. Calls of tools come first: an output beside them is put off."""
    text = "".join(part.content for part in response.parts if isinstance(part, TextPart)).strip()
    calls = [part for part in response.parts if isinstance(part, ToolCallPart)]
    outputs = [part for part in calls if output is not None and part.tool_name == OUTPUT_TOOL]
    if outputs and len(calls) == 1 and output is not None:
        return _answered(_arguments(outputs[0]), output, accept, calls)
    if calls:
        return Calls([_understood(part, tools, after=bool(outputs)) for part in calls])
    if not text:
        return Invalid("your answer was empty: " + _wanted(output))
    if output is None:
        return Answered(text, text)
    return _answered(text, output, accept, ())


def _answered(text: str, output: type[BaseModel], accept: Accept, calls: Sequence[ToolCallPart]) -> Answered | Invalid:
    try:
        return Answered(text, accept(output.model_validate_json(text, extra="forbid")))
    except ValidationError as error:
        return Invalid(f"your answer is not valid: {problems(error)}: {_wanted(output)}", text, calls)
    except RelmError as error:
        return Invalid(f"your answer is not valid: {error.sentence}", text, calls)
    except Exception as error:  # a validator of the author's may raise anything
        return Invalid(f"your answer is not valid: {said(error)}", text, calls)


def _understood(part: ToolCallPart, tools: Registry | None, after: bool) -> Call | Misuse:
    arguments = _arguments(part)
    if after and part.tool_name == OUTPUT_TOOL:
        sentence = f"give one answer: call {OUTPUT_TOOL!r} once and alone, when you know what your tools gave"
        return Misuse(part.tool_call_id, part.tool_name, arguments, sentence)
    if tools is None:
        return Misuse(part.tool_call_id, part.tool_name, arguments, "there are no tools: answer")
    return tools.understood(part.tool_call_id, part.tool_name, arguments)


def _arguments(part: ToolCallPart) -> str:
    """The arguments as the model gave them, which may be any text."""
    return part.args if isinstance(part.args, str) else to_json(part.args or {}).decode()


def _wanted(output: type[BaseModel] | None) -> str:
    return (
        "answer in words" if output is None else f"call {OUTPUT_TOOL!r} with your answer, or give it as one JSON object"
    )
