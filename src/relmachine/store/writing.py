"""One commit: proposals of many threads in one transaction, each fenced by where its thread stands."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain

import orjson

from relmachine.errors import Code, RelmError
from relmachine.kernel.limits import Limits
from relmachine.kernel.proposal import OutboxRow, Proposal
from relmachine.kernel.standing import fiber_of
from relmachine.kernel.state import dump_state, initial_state
from relmachine.kernel.thread_token import thread_label
from relmachine.machine.plan import Plan
from relmachine.store import tables
from relmachine.store.fiber_rows import insert_fibers
from relmachine.store.snapshots import Texts, gather, is_due, snapshot_text
from relmachine.store.tables import insert

_FIBERS_KNOWN_MAX = 65_536

_HEADS = """
SELECT t.thread, t.head, t.seq, t.epoch, t.fenced, t.snapshot_depth
FROM json_each(?) asked JOIN threads t ON t.thread = asked.value
"""
_MOVE = "UPDATE threads SET head = ?, epoch = ?, seq = ?, state = ? WHERE thread = ?"
_SENT = "DELETE FROM outbox WHERE seq = ? AND kind = ? AND thread = ?"
_WRITTEN = "SELECT field, value FROM thread_contributions WHERE thread = ? ORDER BY seq"
_SNAPSHOT_TAKEN = "UPDATE threads SET snapshot_depth = ? WHERE thread = ?"


@dataclass(frozen=True, slots=True)
class Head:
    """A thread's row as far as the fence looks at it."""

    head: str
    seq: int
    epoch: int
    fenced: int
    snapshot_depth: int

    def fits(self, proposal: Proposal) -> bool:
        """Whether the proposal starts where the thread stands."""
        before = proposal.before
        return not self.fenced and (self.head, self.seq, self.epoch) == (before.head, before.cursor, before.epoch)


@dataclass(slots=True)
class Writer:
    """Writes proposals through one connection; used by one thread at a time."""

    connection: sqlite3.Connection
    plan: Plan
    limits: Limits
    _fibers_known: set[str] = field(default_factory=set[str])

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
            return {proposal.before.thread for proposal in proposals} - fresh
        raise RelmError(
            Code.LIMIT_EXCEEDED,
            "the threads move faster than this commit can follow: decide again",
            commit_attempts_max=self.limits.commit_attempts_max,
        )

    def _write(self, proposals: Sequence[Proposal], sent: Sequence[OutboxRow]) -> tuple[set[str], set[str]]:
        """The threads that are not stale, and the fibers written."""
        if sent:
            self.connection.executemany(_SENT, [(row.seq, row.kind, row.thread) for row in sent])
        heads = self._heads(proposals)
        fresh = [proposal for proposal in proposals if heads[proposal.before.thread].fits(proposal)]
        moving = [proposal for proposal in fresh if proposal.after.cursor != proposal.before.cursor]
        fibers: set[str] = set()
        if moving:
            self._begin_threads(moving)
            self._fence(moving)
            fibers = self._insert_fibers(moving)
            self._insert_rows(moving)
            self._move_threads(moving)
            self._take_snapshots(moving, heads)
        return {proposal.before.thread for proposal in fresh}, fibers

    def _heads(self, proposals: Sequence[Proposal]) -> dict[str, Head]:
        threads = [proposal.before.thread for proposal in proposals]
        assert len(set(threads)) == len(threads), "proposals of one commit are of distinct threads"
        rows = self.connection.execute(_HEADS, (orjson.dumps(threads).decode(),)).fetchall() if threads else []
        found = {row[0]: Head(*row[1:]) for row in rows}
        for thread in threads:
            if thread not in found:
                found[thread] = Head(initial_state(self.plan, thread).head, 0, 0, 0, 0)
        return found

    def _begin_threads(self, proposals: Sequence[Proposal]) -> None:
        """Rows of threads that have none: at sequence 0, from where their first commit moves them."""
        new = [proposal.before for proposal in proposals if proposal.before.cursor == 0]
        rows = [(state.thread, thread_label(state.thread), state.head, 0, 0, dump_state(state)) for state in new]
        insert(self.connection, tables.THREADS, rows)

    def _fence(self, proposals: Sequence[Proposal]) -> None:
        rows = [
            (p.before.thread, p.before.head, p.before.cursor, p.before.epoch, p.after.head, p.after.cursor)
            for p in proposals
        ]
        insert(self.connection, tables.COMMITS, rows)

    def _insert_fibers(self, proposals: Sequence[Proposal]) -> set[str]:
        masks = set(chain.from_iterable(proposal.fibers for proposal in proposals))
        new = {fiber.fiber_id: fiber for fiber in (fiber_of(self.plan, mask) for mask in masks)}
        for known in new.keys() & self._fibers_known:
            del new[known]
        insert_fibers(self.connection, new.values(), self.limits.fiber_table_elements_max)
        return set(new)

    def _insert_rows(self, proposals: Sequence[Proposal]) -> None:
        """What the turns gathered, table by table, so that many rows go in one statement."""
        connection = self.connection
        insert(connection, tables.EVENTS, _all(proposal.events for proposal in proposals))
        histories = [
            (*history, place.thread, place.seq)
            for proposal in proposals
            for history, place in zip(proposal.histories, proposal.thread_events, strict=True)
        ]
        insert(connection, tables.HISTORIES, histories)
        insert(connection, tables.THREAD_EVENTS, _all(proposal.thread_events for proposal in proposals))
        insert(connection, tables.EXTENSIONS, _all(proposal.extensions for proposal in proposals))
        insert(connection, tables.CLAIMS, _all(proposal.claims for proposal in proposals))
        insert(connection, tables.CONTRIBUTIONS, _all(proposal.contributions for proposal in proposals))
        insert(connection, tables.RECEIPTS, _all(proposal.receipts for proposal in proposals))
        insert(connection, tables.REJECTIONS, _all(proposal.rejections for proposal in proposals))
        insert(connection, tables.TRANSITIONS, _all(proposal.transitions for proposal in proposals))
        insert(connection, tables.OUTBOX, _all(proposal.outbox for proposal in proposals))

    def _move_threads(self, proposals: Sequence[Proposal]) -> None:
        rows = [(p.after.head, p.after.epoch, p.after.cursor, dump_state(p.after), p.after.thread) for p in proposals]
        self.connection.executemany(_MOVE, rows)

    def _take_snapshots(self, proposals: Sequence[Proposal], heads: dict[str, Head]) -> None:
        every = self.limits.section_snapshot_every
        for after in (proposal.after for proposal in proposals):
            if is_due(after.depth, heads[after.thread].snapshot_depth, every):
                data = self._section_data(after.thread)
                row = (after.head, data, after.thread, after.cursor, after.depth)
                insert(self.connection, tables.SECTION_SNAPSHOTS, [row])
                self.connection.execute(_SNAPSHOT_TAKEN, (after.depth, after.thread))

    def _section_data(self, thread: str) -> str:
        # From all contributions and not from the last snapshot, so that its text depends on the events alone.
        texts = Texts()
        gather(texts, self.connection.execute(_WRITTEN, (thread,)))
        return snapshot_text(texts, {name: item.reducer for name, item in self.plan.fields.items()})

    def _remember(self, fibers: set[str]) -> None:
        if len(self._fibers_known) + len(fibers) > _FIBERS_KNOWN_MAX:
            self._fibers_known.clear()
        self._fibers_known |= fibers


def _all(rows: Iterable[Sequence[tuple[object, ...]]]) -> list[tuple[object, ...]]:
    return list(chain.from_iterable(rows))
