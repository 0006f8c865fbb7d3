"""A process that dies right after it committed the closing of a merge: `python -m tests.unit.forks.killed PATH`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from relmachine.kernel.control import CLOSE
from relmachine.kernel.outcome_rows import OutboxRow
from relmachine.kernel.proposal import Proposal
from relmachine.store.port import CommitOutcome
from relmachine.store.sqlite import SqliteStore
from tests.contract.fork_contract import prepared
from tests.contract.store_turns import desk
from tests.unit.forks.workshop import Workshop


class DeadlyStore(SqliteStore):
    """Its process ends once a closing is durable."""

    async def commit(self, proposals: Sequence[Proposal], sent: Sequence[OutboxRow] = ()) -> Sequence[CommitOutcome]:
        outcomes = await super().commit(proposals, sent)
        if any(row.record == CLOSE for proposal in proposals for row in proposal.controls):
            os.kill(os.getpid(), signal.SIGKILL)
        return outcomes


async def scene(workshop: Workshop) -> None:
    """Two threads and a merge, the same messages each time."""
    await prepared(workshop)
    workshop.step("a", "decide", once="ada")
    workshop.step("b", "opine", log="well", weight=0.2)
    workshop.merge("a", "b")


async def die(path: Path) -> None:
    """Decide everything until the end."""
    workshop = Workshop(desk(), DeadlyStore.open(path, desk()))
    await scene(workshop)
    await workshop.settle()


if __name__ == "__main__":
    asyncio.run(die(Path(sys.argv[1])))
