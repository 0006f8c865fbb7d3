"""The node's HTTP server: uvicorn inside the node's loop, on a socket that is bound before anybody hears of it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncGenerator, Generator

import uvicorn
from fastapi import FastAPI

from relmachine.errors import Code, RelmError


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the node decides when to close."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


@contextlib.asynccontextmanager
async def serving(app: FastAPI, host: str, port: int) -> AsyncGenerator[str]:
    """Serve `app`; yields its address. Errors: `unreachable` when it cannot listen there, with what to choose."""
    listener = _bind(host, port)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, lifespan="on", ws="none", timeout_graceful_shutdown=3
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]), name="http")
    try:
        yield f"http://{host}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await asyncio.gather(task, return_exceptions=True)
        listener.close()


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's delay off only where the protocol is named: without it every answer takes 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()  # whoever connects before the server is up waits instead of being refused
    except OSError as error:
        listener.close()
        raise RelmError(Code.UNREACHABLE, _advice(error, host, port), host=host, port=port) from error
    return listener


def _advice(error: OSError, host: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"port {port} is taken by another program: choose another with --port, or 0 for a free one"
        case errno.EACCES:
            return f"port {port} is for administrators: choose one from 1024 on with --port, or 0 for a free one"
        case errno.EADDRNOTAVAIL:
            return f"{host} is no address of this machine: choose one with --host, such as 127.0.0.1 or 0.0.0.0"
        case _:
            return f"HTTP cannot be served on {host}, port {port}: {error.strerror or error}: see --host and --port"
