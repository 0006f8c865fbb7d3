"""Free ports below the ephemeral range, for servers that must be told their ports."""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Iterator

_RANGE = range(20_000, 32_000)


def free_ports() -> Iterator[int]:
    """Ports that nobody listens on now, each given once; processes start at different places of the range."""
    start = os.getpid() * 97 % len(_RANGE)
    for port in itertools.islice(itertools.cycle(_RANGE), start, start + len(_RANGE)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        yield port
