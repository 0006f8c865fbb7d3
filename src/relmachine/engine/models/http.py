"""The HTTP client that models are asked with: it takes no more of an answer than is allowed."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
from pydantic_ai.models import create_async_httpx2_client

from relmachine.engine.models.bounds import ModelBounds


class AnswerRefusedError(Exception):
    """An answer that is longer than allowed, or coded so that its length is unknown."""


def bounded_client(bounds: ModelBounds) -> httpx2.AsyncClient:
    """PydanticAI's client, which heeds the proxies of the environment, with bounds on time and on answers.

    A hook sees each answer before its body is read. Answers are asked for uncompressed: a few compressed bytes may
    stand for gigabytes.
    """
    client = create_async_httpx2_client(
        timeout=httpx2.Timeout(bounds.request_seconds_max, connect=bounds.connect_seconds_max),
    )
    client.headers["Accept-Encoding"] = "identity"

    async def bound(response: httpx2.Response) -> None:
        coding = response.headers.get("Content-Encoding", "identity")
        if coding != "identity":
            raise AnswerRefusedError(f"the answer is coded as {coding!r}, which was not asked for")
        response.stream = _Counted(response.stream, bounds.answer_bytes_max)

    client.event_hooks = {**client.event_hooks, "response": [bound]}
    return client


class _Counted(httpx2.AsyncByteStream):
    """A stream that ends in an error once it is longer than allowed."""

    def __init__(self, whole: object, bytes_max: int) -> None:
        assert isinstance(whole, httpx2.AsyncByteStream), "an asynchronous client has asynchronous answers"
        self._whole = whole
        self._bytes_max = bytes_max

    async def __aiter__(self) -> AsyncIterator[bytes]:
        taken = 0
        async for piece in self._whole:
            taken += len(piece)
            if taken > self._bytes_max:
                raise AnswerRefusedError(f"the answer is longer than answer_bytes_max, {self._bytes_max} bytes")
            yield piece

    async def aclose(self) -> None:
        await self._whole.aclose()
