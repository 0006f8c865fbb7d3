"""A model's answer as a decision: what of it is kept, and what came instead when there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from math import isfinite
from time import monotonic
from typing import Any, cast

from pydantic import TypeAdapter
from pydantic_ai.messages import ModelResponse, ToolCallPart
from pydantic_core import PydanticSerializationError

from relmachine.engine.runs.decisions import Found
from relmachine.engine.words import said, too_large
from relmachine.errors import Code, RelmError

RESPONSES = TypeAdapter(ModelResponse)
"""Between an answer and the JSON text that is its value in the record."""

_NOT_KEPT = frozenset(
    {"timestamp", "usage", "run_id", "conversation_id", "metadata", "workspace_ref", "provider_response_id"}
)
"""Members of a response that differ each time and that no later request needs."""


_TOKENS_MAX = 2**53 - 1
"""What a decision can hold."""


async def caught(ask: Callable[[], Awaitable[Found]], until: float | None = None) -> Found:
    """What asking a model gives; a provider's client may raise anything, and that is then what the run saw.

    No answer `until` then (`time.monotonic`) is one such thing.
    """
    limit = asyncio.timeout(None if until is None else until - monotonic())
    try:
        async with limit:
            return await ask()
    except TimeoutError as error:
        late = "it gave no answer in its share of the run's wall seconds"
        return Found(error=f"{Code.MODEL_FAILED}: {late if limit.expired() else said(error)}")
    except RelmError as error:
        return Found(error=f"{error.code}: {error.sentence}")
    except asyncio.CancelledError as error:
        if _is_cancelled():
            raise
        return Found(error=f"{Code.MODEL_FAILED}: {said(error)}")
    except (Exception, SystemExit) as error:  # an exit would end the loop of all runs
        return Found(error=f"{Code.MODEL_FAILED}: {said(error)}")


def recorded(response: ModelResponse, cost: float, place: int, bytes_max: int) -> Found:
    """An answer as it is recorded. Calls are numbered anew: ids of providers differ each time."""
    parts = [
        replace(part, tool_call_id=f"c{place % 10_000:04}{number % 10_000:04}")
        if isinstance(part, ToolCallPart)
        else part
        for number, part in enumerate(response.parts)
    ]
    tokens = min(max(response.usage.total_tokens, 0), _TOKENS_MAX)  # a server may say anything
    cost = cost if isfinite(cost) and cost > 0 else 0.0
    try:
        content = RESPONSES.dump_json(replace(response, parts=parts), exclude=cast(Any, _NOT_KEPT), exclude_none=True)
    except PydanticSerializationError as error:
        return Found(error=f"{Code.TEXT_INVALID}: the answer is no text: {said(error)}", tokens=tokens, cost=cost)
    if len(content) > bytes_max:
        return Found(error=too_large("the answer", content, bytes_max), tokens=tokens, cost=cost)
    return Found(value=content.decode(), tokens=tokens, cost=cost)


def _is_cancelled() -> bool:
    """Whether it is this task that somebody cancels, and not a client that cancels something of its own."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
