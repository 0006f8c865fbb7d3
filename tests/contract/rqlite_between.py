"""A stand-in between a store and its server: requests get lost, or their answers, or they arrive late."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from types import TracebackType

import aiohttp
from aiohttp import web


class Fate(Enum):
    """What happens to a write: the connection breaks each time."""

    LOST = auto()
    """It never arrives."""
    UNANSWERED = auto()
    """It arrives, its answer does not."""
    LATE = auto()
    """It arrives just before the next one."""
    LAST = auto()
    """It arrives just after the next one."""


@dataclass
class Between:
    """Passes requests on to `target`; writes meet the `fates` in order, and are passed on when there are no more.

    `then` runs while the sender of a write without an answer still waits.
    """

    target: str
    fates: deque[Fate] = field(default_factory=deque)
    then: Callable[[], Awaitable[object]] | None = None
    answers: list[bytes] = field(default_factory=list)
    _held: list[tuple[Fate, str, bytes]] = field(default_factory=list)

    async def __aenter__(self) -> Between:
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/db/{path}", self._pass)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self._session = aiohttp.ClientSession(headers={"Content-Type": "application/json"})
        return self

    async def __aexit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._session.close()
        await self._runner.cleanup()

    async def _pass(self, request: web.Request) -> web.Response:
        body = await request.read()
        if not request.path.endswith("/execute"):
            return web.Response(body=await self._send(request.path_qs, body))
        fate = self.fates.popleft() if self.fates else None
        if fate is None:
            held, self._held = self._held, []
            await self._arrive(held, Fate.LATE)
            answer = await self._send(request.path_qs, body)
            self.answers.append(answer)
            await self._arrive(held, Fate.LAST)
            return web.Response(body=answer)
        if fate is Fate.UNANSWERED:
            self.answers.append(await self._send(request.path_qs, body))
        if fate in (Fate.LATE, Fate.LAST):
            self._held.append((fate, request.path_qs, body))
        if self.then is not None:
            await self.then()
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def _arrive(self, held: list[tuple[Fate, str, bytes]], fate: Fate) -> None:
        for when, path, body in held:
            if when is fate:
                self.answers.append(await self._send(path, body))

    async def _send(self, path: str, body: bytes) -> bytes:
        async with self._session.post(f"{self.target}{path}", data=body) as answer:
            return await answer.read()
