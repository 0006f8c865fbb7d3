"""A process that commits to a store until it is killed: `python -m tests.contract.store_committing PATH`.

Every commit has two events for each thread, as many as go in one transaction; the number of acknowledged commits is
printed after each.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from relmachine.store.parts import STEPS_PER_PART_MAX
from relmachine.store.port import Committed
from relmachine.store.sqlite import SqliteStore
from tests.contract.store_turns import Desk

THREADS = STEPS_PER_PART_MAX // 2


async def commit_until_killed(path: Path) -> None:
    """Commit and acknowledge, again and again."""
    made = Desk.new()
    store = SqliteStore.open(path, made.plan)
    done = 0
    while True:
        threads = [f"thread-{index}" for index in range(THREADS)]
        steps = made.steps
        turns = [made.turn(name, steps.admitted(name, "receive"), steps.admitted(name, "check")) for name in threads]
        outcomes = await store.commit(turns)
        assert all(isinstance(outcome, Committed) for outcome in outcomes)
        done += 1
        print(done, flush=True)


if __name__ == "__main__":
    asyncio.run(commit_until_killed(Path(sys.argv[1])))
