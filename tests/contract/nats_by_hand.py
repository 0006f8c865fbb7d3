"""A nats-server with a configuration written by hand, as somebody else's is."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from relmachine.stream.ports import free_port, greeting
from tests.real_servers import need

SECONDS_MAX = 20.0


@contextmanager
def nats_by_hand(folder: Path, text: str) -> Iterator[str]:
    """Run a server with the configuration `text`, in which STORE stands for a folder; yields host:port."""
    folder.mkdir(parents=True, exist_ok=True)
    port, config, log = free_port(), folder / "nats.conf", folder / "nats.log"
    config.write_text(f"listen: 127.0.0.1:{port}\n{text.replace('STORE', str(folder / 'data'))}\n")
    with log.open("wb") as output:
        process = subprocess.Popen([need("nats-server"), "-c", config], stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + SECONDS_MAX
        while not asyncio.run(greeting(port)).startswith(b"INFO"):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(SECONDS_MAX)
