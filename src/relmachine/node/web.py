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
from relmachine.hosts.listener import listener


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the node decides when to close."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


@contextlib.asynccontextmanager
async def serving(app: FastAPI, host: str, port: int) -> AsyncGenerator[str]:
    """Serve `app`; yields its address. Errors: `unreachable` when it cannot listen there, with what to choose."""
    bound = _bind(host, port)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, lifespan="on", ws="none", timeout_graceful_shutdown=3
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[bound]), name="http")
    try:
        yield f"http://{host}:{bound.getsockname()[1]}"
    finally:
        server.should_exit = True
        await asyncio.gather(task, return_exceptions=True)
        bound.close()


def _bind(host: str, port: int) -> socket.socket:
    try:
        return listener(host, port)
    except OSError as error:
        raise RelmError(Code.UNREACHABLE, _advice(error, host, port), host=host, port=port) from error


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
