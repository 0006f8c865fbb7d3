"""The node as its sidecar sees it: a small HTTP handler that answers health checks, and runs actors.

It is the SDK's runtime behind four paths. The SDK's own application for FastAPI answers the same with several times the
CPU (DESIGN.md).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import structlog
from aiohttp import web

from relmachine.hosts.dapr_actor import BodySerializer, history_actor
from relmachine.hosts.dapr_tokens import NO_TOKENS, DaprTokens

if TYPE_CHECKING:
    from relmachine.hosts.dapr_actor import ActorTurns
    from relmachine.hosts.dapr_bounds import DaprBounds

_log = structlog.get_logger(__name__)

_Answer = tuple[int, bytes]


class ActorApp:
    """Answers a sidecar. One machine per process: the SDK's registry of actor types is global.

    `well` is what health checks are told: a node that says no keeps answering calls, and loses its actors. Everything
    else is for whoever shows `tokens.app`, if that is given.
    """

    def __init__(self, type_name: str, turns: ActorTurns, bounds: DaprBounds, tokens: DaprTokens = NO_TOKENS) -> None:
        self._type, self._turns, self._bounds, self._tokens = type_name, turns, bounds, tokens
        self.well = False

    async def register(self, client: Any) -> None:
        """Make the actor known to the SDK. `client` is what its actors would call their sidecar with."""
        from dapr.actor.runtime.runtime import ActorRuntime

        body: Any = BodySerializer()
        await ActorRuntime.register_actor(history_actor(self._type, self._turns), body, body, actor_client=client)
        self.well = True

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request of the sidecar."""
        status, body = await self._answer(request)
        return web.Response(status=status, body=body, content_type="application/json")

    async def _answer(self, request: web.BaseRequest) -> _Answer:
        match request.method, [unquote(part) for part in request.raw_path.split("/")[1:]]:
            case "GET", ["healthz"]:
                return (200 if self.well else 503), b""
            case _ if not self._tokens.admits(request.headers):
                return 401, b""
            case "GET", ["dapr", "config"]:
                return 200, self._configuration()
            case "PUT", ["actors", self._type, actor, "method", name]:
                body = await _body(request, self._bounds.body_bytes_max)
                return (413, b"") if body is None else await self._call(actor, name, body)
            case "DELETE", ["actors", self._type, actor]:
                return await self._deactivate(actor)
            case _:
                return 404, b""

    async def _call(self, actor: str, name: str, body: bytes) -> _Answer:
        from dapr.actor import ActorMethodNotFoundError, ActorRuntime

        try:
            return 200, await ActorRuntime.dispatch(self._type, actor, name, body)
        except ActorMethodNotFoundError:
            return 404, b""

    async def _deactivate(self, actor: str) -> _Answer:
        from dapr.actor import ActorRuntime

        try:
            await ActorRuntime.deactivate(self._type, actor)
        except ValueError:
            _log.debug("the actor was not active here", actor=actor)
        return 200, b""

    def _configuration(self) -> bytes:
        """What a sidecar wants to know before it calls; durations as Go writes them."""
        bounds = self._bounds
        return json.dumps(
            {
                "entities": [self._type],
                "actorIdleTimeout": f"{bounds.idle_seconds_max:g}s",
                "drainOngoingCallTimeout": f"{bounds.turn_seconds_max:g}s",
                "drainRebalancedActors": True,
            }
        ).encode()


async def _body(request: web.BaseRequest, bytes_max: int) -> bytes | None:
    """The body of a request; None when it is too long."""
    body = b""
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > bytes_max:
            return None
    return body
