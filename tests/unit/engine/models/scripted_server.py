"""A server of the chat completions form on a real socket, whose answers a test writes down beforehand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Play = Callable[[web.Request], Awaitable[web.StreamResponse]]


def said(text: str, **usage: int) -> Play:
    """An answer of plain text."""
    return completed({"role": "assistant", "content": text}, **usage)


def called(tool: str, arguments: str) -> Play:
    """An answer that calls a tool."""
    function = {"name": tool, "arguments": arguments}
    return completed({"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": function}]})


def completed(message: dict[str, Any], **usage: int) -> Play:
    async def play(_: web.Request) -> web.StreamResponse:
        told = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, **usage}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        head = {"id": "x", "object": "chat.completion", "created": 1, "model": "local"}
        return web.json_response({**head, "choices": [choice], "usage": told})

    return play


def status(code: int, **headers: str) -> Play:
    async def play(_: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response({"error": {"message": "scripted"}}, status=code, headers=named)

    return play


def raw(body: bytes, **headers: str) -> Play:
    async def play(_: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(body=body, headers={"Content-Type": "application/json", **named})

    return play


@dataclass
class Server:
    """`script` is played from the front; its last line is played again and again. `asked` are the requests so far."""

    script: list[Play]
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    sent: int = 0
    inside: int = 0
    url: str = ""
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(await request.json())
        self.headers.append(dict(request.headers))
        self.arrived.set()
        self.inside += 1
        try:
            return await (self.script.pop(0) if len(self.script) > 1 else self.script[0])(request)
        finally:
            self.inside -= 1

    def hang(self) -> Play:
        """Never answers, until the test is over."""

        async def play(_: web.Request) -> web.StreamResponse:
            await self.closing.wait()
            return web.Response()

        return play

    def echo(self, together: int) -> Play:
        """Answers with the prompt, once `together` requests are here at the same time."""
        full = asyncio.Event()

        async def play(request: web.Request) -> web.StreamResponse:
            if self.inside == together:
                full.set()
            await full.wait()
            prompt = (await request.json())["messages"][-1]["content"]
            return await said(prompt)(request)

        return play

    def flood(self, total: int) -> Play:
        """`total` bytes in pieces and without a length beforehand; `sent` counts them."""

        async def play(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Type": "application/json"})
            await response.prepare(request)
            while self.sent < total:
                await response.write(b"x" * 65_536)
                self.sent += 65_536
            return response

        return play


@asynccontextmanager
async def serving(*script: Play) -> AsyncIterator[Server]:
    """A server that plays `script`."""
    server = Server(list(script))
    app = web.Application(client_max_size=2**20)
    app.router.add_post("/v1/chat/completions", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        server.url = f"http://{host}:{port}/v1"
        yield server
    finally:
        server.closing.set()
        await runner.cleanup()
