"""A machine whose model waits for a file, and writes down beside its own file who asked it what. Copied to be used."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from pydantic import BaseModel
from pydantic_ai.messages import ModelMessage, ModelResponse, ToolCallPart, ToolReturnPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from relmachine import Machine, View

HERE = Path(__file__).parent
LOOK_SECONDS = 0.05

machine = Machine("incident")
machine.claim("proposed")
machine.field("cause", str, reducer="once")


class Incident(BaseModel):
    """What was seen."""

    title: str


class Cause(BaseModel):
    """What a model says."""

    cause: str


async def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """First a call of a tool, then, once there is the file `release`, the answer."""
    parts = [part for message in messages for part in message.parts]
    title = next(str(part.content) for part in parts if isinstance(part, UserPromptPart))
    again = any(isinstance(part, ToolReturnPart) for part in parts)
    with (HERE / "asked").open("a") as file:
        file.write(f"{os.getpid()} {'second' if again else 'first'} {title}\n")
    if not again:
        return ModelResponse(parts=[ToolCallPart("settled", {})])
    while not (HERE / "release").exists():  # noqa: ASYNC110 - another process makes it
        await asyncio.sleep(LOOK_SECONDS)
    return ModelResponse(parts=[ToolCallPart(info.output_tools[0].name, {"cause": "disk"})])


@machine.derivation(output=Cause, asserts=["proposed"], writes={"cause": "cause"}, tools=["settled"], durable=True)
def propose(incident: Incident, view: View) -> str:
    """You find causes."""
    return incident.title


machine.model("default", FunctionModel(answer))
