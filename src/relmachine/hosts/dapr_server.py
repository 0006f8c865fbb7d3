"""Where the sidecar reaches the node: an HTTP server inside the node's loop, on a socket of its own."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

from aiohttp import web

from relmachine.errors import Code, RelmError
from relmachine.hosts.listener import listener

if TYPE_CHECKING:
    from relmachine.hosts.dapr_app import ActorApp

_KEEP_ALIVE_SECONDS = 3600
"""Longer than the sidecar keeps an idle connection: whoever closes first must not be the one who is about to be called,
since a sidecar does not repeat a call that met a closing connection."""


_CLOSE_SECONDS_MAX = 1.0
"""How long closing waits for requests that still run."""


class ActorServer:
    """Serves `app` at `listen` (host:port). `client` is what its actors would call their sidecar with."""

    def __init__(self, app: ActorApp, listen: str, client: Any) -> None:
        self._app, self._listen, self._client = app, listen, client
        self._requests: web.Server | None = None
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen, and be well. Errors: `unreachable` when the port is taken."""
        bound = _bind(self._listen)
        await self._app.register(self._client)
        self._requests = web.Server(self._app, access_log=None, keepalive_timeout=_KEEP_ALIVE_SECONDS)
        self._server = await asyncio.get_running_loop().create_server(self._requests, sock=bound)

    def leave(self) -> None:
        """Let the sidecar take the actors away, and answer calls meanwhile."""
        self._app.well = False

    async def close(self) -> None:
        """Stop listening. Calls that still run are lost: drain first."""
        if self._server is not None and self._requests is not None:
            self._server.close()
            await self._requests.shutdown(_CLOSE_SECONDS_MAX)


def _bind(listen: str) -> socket.socket:
    host, _, port = listen.rpartition(":")
    try:
        return listener(host.strip("[]"), int(port))
    except OSError as error:
        sentence = f"free {listen}, where the sidecar calls the node, or choose another port: {error}"
        raise RelmError(Code.UNREACHABLE, sentence, listen=listen) from error
