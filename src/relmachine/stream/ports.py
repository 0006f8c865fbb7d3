"""Ports of this machine: a free one, and who listens on one."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket

from relmachine.errors import Code, RelmError

_PORTS = range(20_000, 30_000)
"""Below the ephemeral range, so that no outgoing connection takes the port while a server restarts."""


def free_port() -> int:
    """A port that nobody listens on right now. Errors: `unreachable` when a hundred tries find none."""
    for port in random.sample(_PORTS, 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RelmError(Code.UNREACHABLE, "free a port, or give one: 100 tries found none", ports=str(_PORTS))


async def greeting(port: int, seconds_max: float = 1.0) -> bytes:
    """The first line of whoever listens on `port`; empty when nobody does, or says nothing in time."""
    try:
        async with asyncio.timeout(seconds_max):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                return await reader.readline()
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except (OSError, TimeoutError):
        return b""
