"""Small processes for a supervisor: shell scripts that say what they do in a file, and get ready by touching one."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from relmachine.cluster.ports import BLOCK_PORTS, FIRST_PORT, LAST_PORT, free_block
from relmachine.cluster.spec import ClusterPlan, ClusterSpec, ProcessSpec, Restart
from relmachine.cluster.state import Wish
from relmachine.node.living import lives

DEADLINE_SECONDS = 60.0

STEADY = 'trap "rm ready; say gone; exit 0" TERM; say up; touch ready; while :; do sleep 0.02; done'
"""Gets ready and runs until it is told to end."""


def script(folder: Path, name: str, body: str, **given: object) -> ProcessSpec:
    """The process `name` that runs `body`; `say WORD` there appends the word, with the name, to what `said` reads."""
    own = folder / name
    say = f'say() {{ echo "{name} $1" >> {folder / "said"}; }}\n'
    command = ["/bin/sh", "-c", say + body]
    defaults: dict[str, object] = {"ready": [(own / "ready").as_uri()], "stop_seconds": 5.0}
    return ProcessSpec(name=name, kind="small", command=command, folder=own, **{**defaults, **given})  # type: ignore[arg-type]


def plan(*processes: ProcessSpec) -> ClusterPlan:
    """A plan of these."""
    return ClusterPlan(processes)


def wish(folder: Path) -> Wish:
    """What the state file says was wished."""
    return Wish.of(ClusterSpec(1, folder, "small", folder / "small.yaml", 20_000))


def quick(**given: object) -> Restart:
    """Restarts with short pauses."""
    return Restart(**{"back_off_seconds": 0.05, "back_off_seconds_max": 0.4, **given})  # type: ignore[arg-type]


def block() -> int:
    """The first port of a block that is free now, and that no other worker of this test run looks at."""
    worker = int("".join(filter(str.isdigit, os.environ.get("PYTEST_XDIST_WORKER", "0"))))
    return free_block(range(FIRST_PORT + worker % 4 * BLOCK_PORTS, LAST_PORT - BLOCK_PORTS, 4 * BLOCK_PORTS))


def said(folder: Path) -> list[str]:
    """What the processes said, in order."""
    path = folder / "said"
    return path.read_text().splitlines() if path.exists() else []


async def until(condition: Callable[[], bool], what: str) -> None:
    """Return when `condition` holds; fail with `what` after the deadline."""
    end = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < end, f"waited {DEADLINE_SECONDS:.0f} s for {what}"
        await asyncio.sleep(0.01)


def gone(pids: Sequence[int]) -> bool:
    """Whether none of the processes lives."""
    return not any(lives(pid) for pid in pids)


def kill(pid: int, sign: int) -> None:
    """Send a signal."""
    os.kill(pid, sign)
