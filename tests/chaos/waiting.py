"""A machine for a node that is killed: each of its two steps asks a model twice, which counts what it is asked in the
file `asked` of the working folder and takes the second question only once there is a file `released`.
"""

from __future__ import annotations

import time
from pathlib import Path

from pydantic import BaseModel
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from relmachine import Machine, Run, Section, View

LOOK_SECONDS = 0.02

waiting = Machine("waiting")
heard = waiting.claim("heard")
words = waiting.field("words", str, reducer="log")


class Asked(BaseModel):
    """Nothing."""


def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Counts the question, waits if it is a second one, and repeats it."""
    question = next(str(part.content) for part in messages[0].parts if isinstance(part, UserPromptPart))
    with Path("asked").open("a") as asked:
        asked.write(f"{question}\n")
    while question.endswith("second") and not Path("released").exists():
        time.sleep(LOOK_SECONDS)
    return ModelResponse([TextPart(question)])


@waiting.inquiry(asserts=[heard], writes=[words], durable=True)
async def durable(asked: Asked, view: View, run: Run) -> Section:
    """Goes on where it was."""
    return Section({"words": f"{await run.ask('durable first')}, {await run.ask('durable second')}"})


@waiting.inquiry(asserts=[heard], writes=[words])
async def plain(asked: Asked, view: View, run: Run) -> Section:
    """Begins again."""
    return Section({"words": f"{await run.ask('plain first')}, {await run.ask('plain second')}"})


waiting.model("default", FunctionModel(answer))
