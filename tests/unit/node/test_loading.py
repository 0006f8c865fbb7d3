"""Goal: a node imports nothing while its loop runs, where a signal would wait for it. Method: a process of its own
loads what a node of a cluster needs, then does with it what such a node does first, and says what was imported since.
"""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import asyncio, sys
from unittest.mock import Mock
from relmachine.node import loading
from relmachine.node.settings import Settings

server, nowhere = "http://127.0.0.1:1", "127.0.0.1:0"
loading.load(Settings(opa_url=server, store_urls=server, dapr_address="127.0.0.1:1", dapr_listen=nowhere))
before = set(sys.modules)

async def begin():
    from relmachine.errors import RelmError
    from relmachine.gates.opa import OpaPolicy
    from relmachine.hosts.dapr import DaprHost
    from relmachine.hosts.dapr_bounds import DaprBounds
    from relmachine.node.node import Node
    from relmachine.store.rqlite.store import RqliteStore
    soon = DaprBounds(start_seconds_max=0.2, leave_seconds_max=0.1)
    try:
        await DaprHost.start(Mock(), "m", "127.0.0.1:1", nowhere, soon)
    except RelmError as error:
        print(error.code)

asyncio.run(begin())
print(*sorted(name for name in set(sys.modules) - before))
"""


def test_a_node_of_a_cluster_finds_everything_loaded() -> None:
    ran = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    code, late = ran.stdout.splitlines()
    assert code == "unreachable"
    ours = ("relmachine", "dapr", "grpc", "aiohttp", "google", "langgraph", "fastmcp")
    assert [name for name in late.split() if name.startswith(ours)] == []
