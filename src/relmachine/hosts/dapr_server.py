"""Where the sidecar reaches the node: uvicorn inside the node's loop, on a socket of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import uvicorn

from relmachine.errors import Code, RelmError

if TYPE_CHECKING:
    from relmachine.hosts.dapr_app import ActorApp

_KEEP_ALIVE_SECONDS = 3600
"""Longer than the sidecar keeps an idle connection: whoever closes first must not be the one who is about to be called,
since a sidecar does not repeat a call that met a closing connection."""


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the node decides when to close."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


class ActorServer:
    """Serves `app` at `listen` (host:port). `client` is what its actors would call their sidecar with."""

    def __init__(self, app: ActorApp, listen: str, client: Any) -> None:
        self._app, self._listen, self._client = app, listen, client
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen, and be well. Errors: `unreachable` when the port is taken."""
        listener = _bind(self._listen)
        await self._app.register(self._client)
        config = uvicorn.Config(
            self._app,
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=1,
        )
        self._server = _Server(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]), name="actor server")

    def leave(self) -> None:
        """Let the sidecar take the actors away, and answer calls meanwhile."""
        self._app.well = False

    async def close(self) -> None:
        """Stop listening. Calls that still run are lost: drain first."""
        if self._server is not None and self._task is not None:
            self._server.should_exit = True
            await asyncio.gather(self._task, return_exceptions=True)


def _bind(listen: str) -> socket.socket:
    host, _, port = listen.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's delay off only where the protocol is named: without it every answer takes 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host.strip("[]"), int(port)))
        listener.listen()
    except OSError as error:
        listener.close()
        sentence = f"free {listen}, where the sidecar calls the node, or choose another port: {error}"
        raise RelmError(Code.UNREACHABLE, sentence, listen=listen) from error
    return listener
