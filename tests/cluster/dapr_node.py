"""A node's process without a store: its turns only write down which thread ran here. Ends by SIGTERM.

Arguments: machine, address of the sidecar, where to listen, file to write to.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import uvloop

from relmachine.hosts.dapr import DaprHost
from relmachine.hosts.local import LocalHost
from relmachine.kernel.limits import Limits
from tests.cluster.dapr_cluster import TOKENS

CURSOR = 0
"""Where every thread stands, below every hint: so each call takes a turn, and none is answered by what is known."""


class WritingRounds:
    """Appends the threads of each round to `path`, one a line."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)

    async def run(self, threads: Sequence[str], hinted: Mapping[str, int]) -> Mapping[str, int]:
        self._file.write("".join(f"{thread}\n" for thread in threads))
        return dict.fromkeys(threads, CURSOR)


async def main(machine: str, sidecar: str, listen: str, path: Path) -> None:
    """Host the machine's threads until SIGTERM."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    local = LocalHost(WritingRounds(path), Limits())
    host = await DaprHost.start(local, machine, sidecar, listen, tokens=TOKENS)
    await ended.wait()
    await host.close()
    await local.close()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4])))
