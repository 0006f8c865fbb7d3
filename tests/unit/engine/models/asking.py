"""Asking a scripted server by `Models`, with a clock and a sleep of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from pydantic import SecretStr
from pydantic_ai.messages import ModelRequest, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.tools import ToolDefinition

from relmachine.engine.models import ModelBounds, Models, NodeModels
from relmachine.errors import Code, RelmError
from tests.unit.engine.models.scripted_server import Server

LOCAL = "openai:local"


@dataclass
class Time:
    """A clock that moves only by sleeping, or by hand."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@asynccontextmanager
async def models(server: Server, time: Time | None = None, **bounds: float) -> AsyncIterator[Models]:
    """Models whose `openai:` is `server`."""
    time = time or Time()
    node = NodeModels(default=LOCAL, base_url=server.url, api_key=SecretStr("the-key"))
    made = Models(
        {},
        node,
        ModelBounds(**bounds),  # pyright: ignore[reportArgumentType]
        clock=lambda: time.now,
        sleep=time.sleep,
        jitter=lambda: 1.0,
    )
    try:
        yield made
    finally:
        await made.close()


async def ask(model: Model, *tools: str, prompt: str = "say something") -> ModelResponse:
    """One request, with tools that take anything."""
    parameters = ModelRequestParameters(
        function_tools=[ToolDefinition(name=name, parameters_json_schema={"type": "object"}) for name in tools]
    )
    return await model.request([ModelRequest.user_text_prompt(prompt)], None, parameters)


async def refused(model: Model) -> RelmError:
    """The error that a request ends with, which is `model_failed`."""
    try:
        answer = await ask(model)
    except RelmError as error:
        assert error.code is Code.MODEL_FAILED
        return error
    raise AssertionError(f"answered: {answer}")
