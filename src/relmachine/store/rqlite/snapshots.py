"""Section snapshots of the replicated store: what they hold is read before the commit that they go with.

A commit that starts where its proposal says finds the contributions exactly as they were read, up to there; any other
is refused by the fence, and the snapshot with it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import cast

from relmachine.kernel.limits import Limits
from relmachine.kernel.proposal import Proposal
from relmachine.kernel.state import ThreadState
from relmachine.machine.plan import Plan
from relmachine.store.deciding import asked
from relmachine.store.rqlite.client import RqliteClient
from relmachine.store.snapshots import is_due
from relmachine.store.turn_rows import section_data

_DEPTHS = """
SELECT t.thread, t.snapshot_depth FROM json_each(?) asked JOIN threads t ON t.thread = asked.value
"""
_WRITTEN_UNTIL = "SELECT field, value FROM thread_contributions WHERE thread = ? AND seq <= ? ORDER BY seq, place"


class Snapshots:
    """Which threads need one now. Remembers at which depth each thread had its last, for the threads used last."""

    def __init__(self, client: RqliteClient, plan: Plan, limits: Limits) -> None:
        self._client, self._plan, self._limits = client, plan, limits
        self._depths: OrderedDict[str, int] = OrderedDict()

    async def due(self, proposals: Sequence[Proposal]) -> dict[str, str]:
        """The text of the snapshot to take after each proposal, by thread, for those that need one."""
        long = [proposal for proposal in proposals if self._is_due(proposal.after)]
        unknown = [proposal.before.thread for proposal in long if proposal.before.thread not in self._depths]
        if unknown:
            rows = await self._client.rows((_DEPTHS, asked(unknown)))
            self._depths.update(cast("tuple[tuple[str, int], ...]", rows))
        due = [proposal for proposal in long if self._is_due(proposal.after)]
        written = await self._client.tables(
            [(_WRITTEN_UNTIL, proposal.before.thread, proposal.before.cursor) for proposal in due]
        )
        texts = {
            proposal.before.thread: self._text(proposal, rows) for proposal, rows in zip(due, written, strict=True)
        }
        return {thread: text for thread, text in texts.items() if len(text) <= self._client.bounds.value_bytes_max}

    def taken(self, states: Iterable[ThreadState]) -> None:
        """These were committed: a thread that was due is not so before it has grown by as much again.

        That holds also where the text was too large to be kept, so that it is not made again at every commit.
        """
        for after in states:
            if self._is_due(after):
                self._depths[after.thread] = after.depth
            if after.thread in self._depths:
                self._depths.move_to_end(after.thread)
        while len(self._depths) > self._limits.hot_threads_max:
            self._depths.popitem(last=False)

    def _is_due(self, after: ThreadState) -> bool:
        return is_due(after.depth, self._depths.get(after.thread, 0), self._limits.section_snapshot_every)

    def _text(self, proposal: Proposal, written: Sequence[tuple[object, ...]]) -> str:
        contributed = [(row.field, row.value) for row in proposal.contributions]
        return section_data(self._plan, [*cast("Sequence[tuple[str, str]]", written), *contributed])
