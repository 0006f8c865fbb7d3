"""One commit: proposals of many threads in one transaction, each fenced by where its thread stands."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson

from relmachine.errors import Code, RelmError
from relmachine.kernel.limits import Limits
from relmachine.kernel.proposal import OutboxRow, Proposal
from relmachine.kernel.state import dump_state
from relmachine.machine.plan import Plan
from relmachine.store import tables
from relmachine.store.fiber_rows import insert_fibers
from relmachine.store.snapshots import is_due
from relmachine.store.tables import insert
from relmachine.store.turn_rows import HEADS, Head, begin_rows, content_rows, fence_rows, new_fibers, section_data

_FIBERS_KNOWN_MAX = 65_536

STEPS_PER_CHECKPOINT = 2_000
"""Steps whose rows wait in the log, some 16 MiB of pages, before they are moved into the file."""

_MOVE = "UPDATE threads SET head = ?, epoch = ?, seq = ?, state = ? WHERE thread = ?"
_SENT = "DELETE FROM outbox WHERE seq = ? AND kind = ? AND thread = ?"
_WRITTEN = "SELECT field, value FROM thread_contributions WHERE thread = ? ORDER BY seq, place"
_SNAPSHOT_TAKEN = "UPDATE threads SET snapshot_depth = ? WHERE thread = ?"


@dataclass(slots=True)
class Writer:
    """Writes proposals through one connection; used by one thread at a time."""

    connection: sqlite3.Connection
    plan: Plan
    limits: Limits
    _fibers_known: set[str] = field(default_factory=set[str])
    _written: int = 0

    def commit(self, proposals: Sequence[Proposal], sent: Sequence[OutboxRow]) -> set[str]:
        """Write what is not stale, durably; returns the threads that are stale.

        The fence in the schema has the last word: when it aborts the transaction, what is stale is found again.
        """
        for _ in range(self.limits.commit_attempts_max):
            try:
                self.connection.execute("BEGIN IMMEDIATE")
                fresh, fibers = self._write(proposals, sent)
                self.connection.execute("COMMIT")
            except BaseException as error:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                if isinstance(error, sqlite3.IntegrityError) and str(error) == "stale":
                    continue
                raise
            self._remember(fibers)
            self._written += sum(len(proposal.receipts) for proposal in proposals)
            return {proposal.before.thread for proposal in proposals} - fresh
        raise RelmError(
            Code.LIMIT_EXCEEDED,
            "the threads move faster than this commit can follow: decide again",
            commit_attempts_max=self.limits.commit_attempts_max,
        )

    def tidy(self) -> None:
        """Move what commits left in the log into the file, now and then: between commits, so that nobody waits for it.

        A log that somebody still reads is moved as far as that lets it, and the rest next time.
        """
        if self._written >= STEPS_PER_CHECKPOINT:
            self._written = 0
            self.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def _write(self, proposals: Sequence[Proposal], sent: Sequence[OutboxRow]) -> tuple[set[str], set[str]]:
        """The threads that are not stale, and the fibers written."""
        if sent:
            self.connection.executemany(_SENT, [(row.seq, row.kind, row.thread) for row in sent])
        heads = self._heads(proposals)
        fresh = [proposal for proposal in proposals if heads[proposal.before.thread].fits(proposal)]
        moving = [proposal for proposal in fresh if proposal.after.cursor != proposal.before.cursor]
        fibers: set[str] = set()
        if moving:
            insert(self.connection, tables.THREADS, begin_rows(moving))
            insert(self.connection, tables.COMMITS, fence_rows(moving))
            fibers = self._insert_fibers(moving)
            for target, rows in content_rows(moving).items():
                insert(self.connection, target, rows)
            self._take_snapshots([one for one in moving if not one.joins], heads)
            self._move_threads(moving)
        return {proposal.before.thread for proposal in fresh}, fibers

    def _heads(self, proposals: Sequence[Proposal]) -> dict[str, Head]:
        threads = [proposal.before.thread for proposal in proposals]
        assert len(set(threads)) == len(threads), "proposals of one commit are of distinct threads"
        rows = self.connection.execute(HEADS, (orjson.dumps(threads).decode(),)).fetchall() if threads else []
        found = {row[0]: Head(*row[1:]) for row in rows}
        for thread in threads:
            if thread not in found:
                found[thread] = Head.of_new(self.plan, thread)
        return found

    def _insert_fibers(self, proposals: Sequence[Proposal]) -> set[str]:
        new = new_fibers(self.plan, proposals, self._fibers_known)
        insert_fibers(self.connection, new.values(), self.limits.fiber_table_elements_max)
        return set(new)

    def _move_threads(self, proposals: Sequence[Proposal]) -> None:
        rows = [(p.after.head, p.after.epoch, p.after.cursor, dump_state(p.after), p.after.thread) for p in proposals]
        self.connection.executemany(_MOVE, rows)

    def _take_snapshots(self, proposals: Sequence[Proposal], heads: dict[str, Head]) -> None:
        every = self.limits.section_snapshot_every
        for after in (proposal.after for proposal in proposals):
            if is_due(after.depth, heads[after.thread].snapshot_depth, every):
                data = section_data(self.plan, self.connection.execute(_WRITTEN, (after.thread,)))
                row = (after.head, data, after.thread, after.cursor, after.depth)
                insert(self.connection, tables.SECTION_SNAPSHOTS, [row])
                self.connection.execute(_SNAPSHOT_TAKEN, (after.depth, after.thread))

    def _remember(self, fibers: set[str]) -> None:
        if len(self._fibers_known) + len(fibers) > _FIBERS_KNOWN_MAX:
            self._fibers_known.clear()
        self._fibers_known |= fibers
