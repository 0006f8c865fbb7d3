"""Commits: proposals of many threads in one transaction, each fenced by where its thread stands."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import orjson

from relmachine.errors import Code, RelmError
from relmachine.kernel.limits import Limits
from relmachine.kernel.outcome_rows import OutboxRow
from relmachine.kernel.proposal import Proposal
from relmachine.machine.plan import Plan
from relmachine.realtime import at_once
from relmachine.store import tables
from relmachine.store.parts import Part, part_of
from relmachine.store.snapshots import is_due
from relmachine.store.staging import move, stage
from relmachine.store.tables import Target
from relmachine.store.turn_rows import HEADS, Head, moved, section_data
from relmachine.store.write_order import Order

_FIBERS_KNOWN_MAX = 65_536

STEPS_PER_CHECKPOINT = 2_000
"""Steps whose rows wait in the log, some 16 MiB of pages, before they are moved into the file."""

BYTES_PER_CHECKPOINT = 8 * 1024 * 1024
"""The same by what the rows weigh: so much earlier where steps are large."""

_WRITTEN_UNTIL = "SELECT field, value FROM thread_contributions WHERE thread = ? AND seq <= ? ORDER BY seq, place"


@dataclass(slots=True)
class Writer:
    """Writes proposals through one connection; used by one thread at a time."""

    connection: sqlite3.Connection
    plan: Plan
    limits: Limits
    _fibers_known: set[str] = field(default_factory=set[str])
    _written: int = 0
    _written_bytes: int = 0

    def commit(self, proposals: Sequence[Proposal], sent: Sequence[OutboxRow], order: Order) -> set[str]:
        """Write in one transaction, durably, what is not stale; returns the threads that are.

        Where threads stand is read, and rows are made and staged, before the file is waited for. The fence in the
        schema has the last word: when it aborts the transaction, what is stale is found again.
        """
        for _ in range(self.limits.commit_attempts_max):
            heads = self._heads(proposals)
            fresh = [proposal for proposal in proposals if heads[proposal.before.thread].fits(proposal)]
            part = part_of(self.plan, fresh, self._fibers_known, self.limits.fiber_table_elements_max)
            if not part.moving and not sent:
                return {one.before.thread for one in proposals} - {one.before.thread for one in fresh}
            stage(self.connection, self._rows(part, sent, heads))
            try:
                order.give_way()
                with at_once():  # a control record may be waiting for the file
                    move(self.connection)
            except sqlite3.IntegrityError as error:
                if str(error) == "stale" or self._heads(proposals) != heads:
                    continue  # somebody was faster; a thread may be at its end since
                raise
            self._remember(part)
            return {one.before.thread for one in proposals} - {one.before.thread for one in fresh}
        raise RelmError(
            Code.LIMIT_EXCEEDED,
            "the threads move faster than this commit can follow: decide again",
            commit_attempts_max=self.limits.commit_attempts_max,
        )

    def tidy(self) -> None:
        """Move what commits left in the log into the file, now and then: between the parts of a commit and not within
        one, where it takes ten times as long as the part. A log that somebody still reads is moved as far as that lets
        it, and the rest next time.
        """
        if self._written >= STEPS_PER_CHECKPOINT or self._written_bytes >= BYTES_PER_CHECKPOINT:
            self._written = self._written_bytes = 0
            self.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def _heads(self, proposals: Sequence[Proposal]) -> dict[str, Head]:
        threads = [proposal.before.thread for proposal in proposals]
        rows = self.connection.execute(HEADS, (orjson.dumps(threads).decode(),)).fetchall() if threads else []
        found = {row[0]: Head(*row[1:]) for row in rows}
        for thread in threads:
            if thread not in found:
                found[thread] = Head.of_new(self.plan, thread)
        return found

    def _rows(
        self, part: Part, sent: Sequence[OutboxRow], heads: Mapping[str, Head]
    ) -> dict[Target, Sequence[Sequence[object]]]:
        """All that the commit writes, with the snapshots that are due."""
        depths = {thread: head.snapshot_depth for thread, head in heads.items()}
        snapshots: list[tuple[object, ...]] = []
        for proposal in part.moving:
            after = proposal.after
            # What a record joins is not in its proposal: the next step's commit takes the snapshot.
            if not proposal.joins and is_due(after.depth, depths[after.thread], self.limits.section_snapshot_every):
                snapshots.append((after.head, self._section(proposal), after.thread, after.cursor, after.depth))
                depths[after.thread] = after.depth
        return {
            tables.SENT: [(row.seq, row.kind, row.thread) for row in sent],
            **part.rows,
            tables.SECTION_SNAPSHOTS: snapshots,
            tables.MOVED: [(*moved(one.after), depths[one.after.thread]) for one in part.moving],
        }

    def _section(self, proposal: Proposal) -> str:
        """The snapshot's text. Up to where the proposal starts nothing of a thread changes, and the fence knows whether
        the thread still stands there.
        """
        before = proposal.before
        written = self.connection.execute(_WRITTEN_UNTIL, (before.thread, before.cursor))
        contributed = ((row.field, row.value) for row in proposal.contributions)
        return section_data(self.plan, chain(written, contributed))

    def _remember(self, part: Part) -> None:
        if len(self._fibers_known) + len(part.fibers) > _FIBERS_KNOWN_MAX:
            self._fibers_known.clear()
        self._fibers_known.update(part.fibers)
        self._written += part.steps
        self._written_bytes += part.bytes_
