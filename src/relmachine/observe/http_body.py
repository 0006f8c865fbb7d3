"""Reading a request's body without ever holding more of it than the limit."""

from __future__ import annotations

from starlette.requests import Request

from relmachine.errors import Code, RelmError
from relmachine.kernel.limits import Limits

DISCARDED_BYTES_MAX = 16 * 1024 * 1024
"""How much of a body that is too large is still read and thrown away: a sender who is cut off while it writes sees a
broken connection instead of the answer that says why."""


async def bounded_body(request: Request, limits: Limits) -> bytes:
    """The body, at most `payload_bytes_max` bytes. Errors: `payload_too_large`."""
    body, seen = bytearray(), 0
    async for chunk in request.stream():
        seen += len(chunk)
        if seen <= limits.payload_bytes_max:
            body += chunk
        elif seen > DISCARDED_BYTES_MAX:
            break
        else:
            body.clear()
    if seen > limits.payload_bytes_max:
        raise RelmError(
            Code.PAYLOAD_TOO_LARGE,
            f"send at most {limits.payload_bytes_max} bytes",
            payload_bytes_max=limits.payload_bytes_max,
            bytes_at_least=seen,
        )
    return bytes(body)


async def discard_body(request: Request) -> None:
    """Read a body that nobody wants, so that its sender gets to see why."""
    seen = 0
    async for chunk in request.stream():
        seen += len(chunk)
        if seen > DISCARDED_BYTES_MAX:
            break
