"""The socket of an HTTP server in the node's loop, bound before anybody hears of it."""

from __future__ import annotations

import socket


def listener(host: str, port: int) -> socket.socket:
    """A socket that listens there. Whoever connects before its server is up waits instead of being refused.

    Errors: OSError.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's delay off only where the protocol is named: without it every answer takes 40 ms.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen()
    except OSError:
        made.close()
        raise
    return made
