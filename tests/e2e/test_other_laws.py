"""Goal: a node whose machine is not the one of the streams does not start, says which steps differ, and leaves them
alone. Method: `relm dev` as a process of its own, on a NATS server where a node of the machine before has been."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from relmachine.kernel.limits import Limits
from relmachine.machine.loader import load
from relmachine.stream.nats import NatsStream
from relmachine.stream.server import NatsServer

pytestmark = pytest.mark.process

MACHINE = """
machine: desk
version: "1"
claims: {received: {}, checked: {requires: [received]}}
fields: {officers: {type: string, reducer: union}}
steps:
  receive: {kind: process, asserts: [received], writes: {officers: officer}}
  check: {kind: process, asserts: [checked]}
  note: {kind: inquiry, reads: [%s]}
"""


def machine(path: Path, reads: str) -> Path:
    path.write_text(MACHINE % reads)
    return path


def relm_dev(path: Path, folder: Path, url: str, *more: str) -> subprocess.CompletedProcess[str]:
    """`relm dev`, until it ends by itself."""
    command = [sys.executable, "-m", "relmachine", "dev", path, "--data", folder, "--nats", url, "--port", "0", *more]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60, check=False)


def test_relm_dev_with_one_more_read_ends_with_the_pair_of_steps(tmp_path: Path) -> None:
    before, after = machine(tmp_path / "before.yaml", ""), machine(tmp_path / "after.yaml", "officers")
    server = NatsServer(tmp_path / "nats")

    async def served() -> dict[str, object]:
        """What the streams of the machine before are like."""
        stream = await NatsStream.open(server.url, load(before).plan(), "store", Limits())
        found = {name: await stream.connection.jetstream.stream_info(name) for name in stream.topology.streams}
        await stream.close()
        return {name: (info.config, info.state) for name, info in found.items()}

    async def ended() -> None:
        await server.start()
        try:
            there = await served()
            told = await asyncio.to_thread(relm_dev, after, tmp_path / "node", server.url)
            as_json = await asyncio.to_thread(relm_dev, after, tmp_path / "node", server.url, "--json")
            assert await served() == there
        finally:
            await server.stop()
        assert (told.returncode, as_json.returncode) == (1, 1), told.stderr
        said = [line for line in told.stderr.splitlines() if line.startswith("topology_mismatch: ")]
        assert len(said) == 1
        assert "note and receive are dependent in this machine and independent on the stream" in said[0]
        error = json.loads(as_json.stderr[as_json.stderr.index("{") :])["error"]
        assert error["code"] == "topology_mismatch"
        assert error["witness"]["dependent_only_in_this_machine"] == [["note", "receive"]]

    asyncio.run(ended())
