"""Keeps other people's web pages from using a visitor's browser to reach the node.

A browser lets any page post text to any address, this machine's own included, and a page may point its own name at
127.0.0.1 (DNS rebinding). Programs send no `Origin` and are not concerned.
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from relmachine.errors import Code
from relmachine.observe.http_errors import problem


class BrowserGuard:
    """ASGI middleware: refuses requests that a page of another origin made a browser send."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer `policy_denied`."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            host, origin = headers.get("host", ""), headers.get("origin")
            server = scope.get("server")
            if server and is_loopback(server[0]) and not is_loopback(_hostname(f"//{host}")):
                sentence = "this node listens on this machine only: address it as 127.0.0.1 or localhost"
                await problem(Code.POLICY_DENIED, sentence, {"host": host})(scope, receive, send)
                return
            if origin is not None and not _same_place(origin, host):
                sentence = "pages of another origin may not use this node: open the node's own, or send no Origin"
                await problem(Code.POLICY_DENIED, sentence, {"origin": origin, "host": host})(scope, receive, send)
                return
        await self._app(scope, receive, send)


def is_loopback(hostname: str) -> bool:
    """Whether the name or address is this machine's own."""
    try:
        return hostname == "localhost" or ip_address(hostname).is_loopback
    except ValueError:
        return False


def _same_place(origin: str, host: str) -> bool:
    there, here = _hostname(origin), _hostname(f"//{host}")
    return origin.partition("//")[2] == host or (is_loopback(there) and is_loopback(here))


def _hostname(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
