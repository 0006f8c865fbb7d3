"""Whether something answers. What to ask is an address, so that plans, files and people can carry it:
`http://…` wants a status from 200 to 299, `tcp://host:port` a connection, `file:///path` that the file is there.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

PROBE_SECONDS_MAX = 2.0
"""How long one question may take; a process that takes longer is not ready."""


async def answers(addresses: Sequence[str]) -> bool:
    """Whether every address answers now."""
    return all(await asyncio.gather(*(_answers(address) for address in addresses)))


async def _answers(address: str) -> bool:
    parts = urlsplit(address)
    try:
        async with asyncio.timeout(PROBE_SECONDS_MAX):
            match parts.scheme:
                case "http":
                    return await _http(parts)
                case "tcp":
                    await _close(await _connect(parts))
                    return True
                case "file":
                    return _path(parts).exists()
                case other:
                    raise ValueError(f"nobody knows how to ask {other}: {address}")
    except (OSError, TimeoutError):
        return False


def forget(addresses: Sequence[str]) -> None:
    """Remove the files that a former process left as a sign of being ready."""
    for address in addresses:
        parts = urlsplit(address)
        if parts.scheme == "file":
            _path(parts).unlink(missing_ok=True)


async def _http(parts: SplitResult) -> bool:
    connection = await _connect(parts)
    reader, writer = connection
    try:
        query = f"?{parts.query}" if parts.query else ""
        request = f"GET {parts.path or '/'}{query} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
        writer.write(request.encode("ascii"))
        status = (await reader.readline()).split()
        return len(status) > 1 and status[1].startswith(b"2") and len(status[1]) == 3
    finally:
        await _close(connection)


async def _connect(parts: SplitResult) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(parts.hostname, parts.port)


async def _close(connection: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
    writer = connection[1]
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def _path(parts: SplitResult) -> Path:
    return Path(unquote(parts.path))
