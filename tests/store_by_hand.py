"""A server of the replicated store, asked beside the code."""

from __future__ import annotations

import base64
import urllib.request
from urllib.parse import urlsplit


def ask(url: str, body: bytes | None = None, kind: str = "application/json", seconds: float = 10.0) -> bytes:
    """The answer to a request with the login that the address `url` has, if any. Errors: OSError."""
    parts = urlsplit(url)
    headers = {"Content-Type": kind}
    if parts.password is not None:
        words = base64.b64encode(f"{parts.username}:{parts.password}".encode()).decode()
        headers["Authorization"] = f"Basic {words}"
    bare = parts._replace(netloc=f"{parts.hostname}:{parts.port}").geturl()
    with urllib.request.urlopen(urllib.request.Request(bare, body, headers), timeout=seconds) as answer:
        return answer.read()
