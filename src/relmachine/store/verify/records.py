"""Verification of one control record: forks and merges are joined again from the threads that they name."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import cast

import orjson

from relmachine.algebra.identity import digest, hash_of
from relmachine.kernel.candidate import Candidate
from relmachine.kernel.control import CLOSE, FORK, MERGE, Close, Fork, Merge, Resolve
from relmachine.kernel.control_rows import ResolutionRow
from relmachine.kernel.glue import clashes, merge_details
from relmachine.kernel.joining import Joining, alone, forked_state
from relmachine.kernel.proposal import Proposal
from relmachine.kernel.state import ThreadState, initial_state
from relmachine.machine.plan import Plan
from relmachine.store import tables
from relmachine.store.joined import Joined
from relmachine.store.points import table_rows
from relmachine.store.port import Reads
from relmachine.store.tables import Target
from relmachine.store.verify.fault import Fault, shown
from relmachine.store.verify.steps import Row, StoredRecord

EVENTS_MAX = 9_999
"""Events of one record that can be verified: a page of a store's answer."""

_GENESIS = "SELECT state ->> '$.genesis' FROM threads WHERE thread = ?"
_STOPPED = "SELECT 1 FROM thread_stops WHERE thread = ? AND at_seq < ?"
_SEQ = "SELECT seq FROM threads WHERE thread = ?"
_AT = "thread = ? AND seq = ?"
_HISTORIES_AT = "history_id IN (SELECT history_id FROM thread_events WHERE thread = ? AND seq = ?)"
_EXTENSIONS_AT = """(target, step) IN (SELECT te.history_id, e.step
  FROM thread_events te JOIN events e ON e.event_id = te.event_id WHERE te.thread = ? AND te.seq = ?)"""
_ASTRAY = """
SELECT h.history_id FROM histories h
WHERE h.history_id IN (SELECT history_id FROM thread_events WHERE thread = ? AND seq = ?)
  AND NOT EXISTS (SELECT 1 FROM thread_events f WHERE f.thread = h.thread AND f.seq = h.seq AND f.place = h.place
    AND f.history_id = h.history_id)
LIMIT 1
"""
_PLACE_COLUMNS = 3
"""Last columns of a history: where it was first reached."""


@dataclass(frozen=True, slots=True)
class RecordAgain:
    """A record decided once more on the state before it."""

    store: Reads
    plan: Plan
    state: ThreadState
    stored: StoredRecord

    async def proposal(self) -> Proposal | Fault:
        """What the record's turn gave, or why it would have been refused."""
        record = self._candidate()
        if self.state.closed:
            return self.fault("a record of a thread that was merged into another", self.state.closed, "")
        if record.step == FORK:
            return await self._fork(record, Fork.model_validate_json(record.payload))
        if record.step == MERGE:
            return await self._merge(record, Merge.model_validate_json(record.payload))
        if record.step == CLOSE:
            return await self._close(record, Close.model_validate_json(record.payload))
        return self._resolve(record, Resolve.model_validate_json(record.payload))

    async def differs(self, proposal: Proposal) -> Fault | None:
        """The first cell of what is stored that is not what the turn gives."""
        for target, computed in self.computed(proposal).items():
            found = await table_rows(self.store, target, self.where(target), self.stored.thread, self.stored.sequence)
            fault = self._compare(target, [_content(target, row) for row in found], computed)
            if fault is not None:
                return fault
        for (history,) in (await self.store.select(_ASTRAY, (self.stored.thread, self.stored.sequence))).rows:
            return self.fault("histories: a place where the history was not reached", history, "")
        return None

    def where(self, target: Target) -> str:
        """What finds the rows of this record in a table, by thread and sequence."""
        return _WHERE.get(target, _AT)

    def counts(self, proposal: Proposal) -> Counter[str]:
        """Rows verified, but for those that threads share."""
        return Counter(
            {target.name: len(rows) for target, rows in self.computed(proposal).items() if target not in _SHARED}
        )

    def computed(self, proposal: Proposal) -> dict[Target, list[Row]]:
        """The rows that the turn gives, by table."""
        return _computed(proposal)

    def fault(self, differs: str, stored: object, computed: object) -> Fault:
        """A fault of this record."""
        return Fault(self.stored.thread, self.stored.sequence, "", differs, shown(stored), shown(computed))

    def _candidate(self) -> Candidate:
        row = cast("tuple[str, int, str, str, str, str]", self.stored.row)
        thread, sequence, step, key, payload, text = row
        return Candidate(sequence, thread, step, key, payload, digest("payload", payload)).known(text)

    async def _fork(self, record: Candidate, fork: Fork) -> Proposal | Fault:
        if self.state.cursor or fork.at_sequence >= record.sequence:
            return self.fault("a fork that comes too late, or too early", fork.at_sequence, record.sequence)
        asked = Joined(self._ask)
        genesis = initial_state(self.plan, fork.source).genesis
        if await asked.began_as_fork(fork.source, record.sequence):
            genesis = cast(str, (await self.store.select(_GENESIS, (fork.source,))).rows[0][0])
        events = await asked.events(fork.source, fork.at_sequence, EVENTS_MAX)
        joining = Joining(self.plan, forked_state(self.plan, record.thread, genesis), record.sequence, events)
        if hash_of(joining.head) != fork.at:
            return self.fault("controls.payload: the history of a fork", fork.at, joining.head)
        details = {"record": FORK, "source": fork.source, "events": len(events)}
        return replace(joining.applied(record, details), before=self.state)

    async def _merge(self, record: Candidate, merge: Merge) -> Proposal | Fault:
        asked = Joined(self._ask)
        closed = await asked.control(merge.source, record.sequence - 1)
        if closed is None or closed != (CLOSE, orjson.dumps({"target": record.thread}).decode()):
            return self.fault("controls: a merge without its closing", closed, CLOSE)
        difference = await asked.difference(record.thread, merge.source, record.sequence - 1, EVENTS_MAX - 1)
        if difference is None:
            return self.fault("a merge of too many events", "", EVENTS_MAX)
        found = clashes(self.plan, difference, record.sequence, 1)
        if found.pairs:
            return self.fault("a merge of what depends on each other", "applied", found.rows[0].obstruction_id)
        known = await asked.known(record.thread, record.sequence, difference.theirs)
        joining = Joining(self.plan, self.state, record.sequence, difference.theirs, known)
        return joining.applied(record, merge_details(difference))

    async def _close(self, record: Candidate, close: Close) -> Proposal | Fault:
        """The target's history is compared with what the closing says, once the target has decided its part."""
        asked, after = Joined(self._ask), record.sequence + 1
        rows = (await self.store.select(_SEQ, (close.target,))).rows
        reached = bool(rows) and cast(int, rows[0][0]) >= after
        merged = await asked.control(close.target, after)
        # A target that was stopped in between refuses its part.
        stopped = bool((await self.store.select(_STOPPED, (close.target, after))).rows)
        if reached and not stopped and merged != (MERGE, orjson.dumps({"source": record.thread}).decode()):
            return self.fault("controls: a closing without its merge", merged, MERGE)
        history = await asked.history(close.target, after) if reached and merged is not None else None
        if history is None:
            receipt = await table_rows(self.store, tables.RECEIPTS, _AT, self.stored.thread, self.stored.sequence)
            history = cast("dict[str, str]", orjson.loads(cast(str, receipt[0][5])))["merged_history"]
        details = {"record": CLOSE, "target": close.target, "merged_history": history}
        return alone(self.plan, self.state, record, details, closed=close.target)

    def _resolve(self, record: Candidate, resolve: Resolve) -> Proposal:
        row = ResolutionRow(
            resolve.obstruction, record.thread, record.sequence, resolve.keep, resolve.reason, record.principal
        )
        details = {"record": record.step, "obstruction": resolve.obstruction, "keep": resolve.keep}
        return alone(self.plan, self.state, record, details, resolutions=(row,))

    async def _ask(self, sql: str, parameters: object) -> tuple[Row, ...]:
        return (await self.store.select(sql, cast("tuple[object, ...]", parameters))).rows

    def _compare(self, target: Target, stored: list[Row], computed: list[Row]) -> Fault | None:
        if len(stored) != len(computed):
            return self.fault(f"{target.name}: number of rows", len(stored), len(computed))
        for one, other in zip(sorted(stored), sorted(computed), strict=True):
            for name, here, there in zip(target.columns, one, other, strict=False):
                if here != there:
                    return self.fault(f"{target.name}.{name}", here, there)
        return None


_SHARED = frozenset({tables.HISTORIES, tables.EXTENSIONS})
_WHERE = {tables.HISTORIES: _HISTORIES_AT, tables.EXTENSIONS: _EXTENSIONS_AT}


def _computed(proposal: Proposal) -> dict[Target, list[Row]]:
    return {
        tables.CONTROLS: list(proposal.controls),
        tables.THREAD_EVENTS: list(proposal.thread_events),
        tables.HISTORIES: list(proposal.histories),
        tables.EXTENSIONS: list(proposal.extensions),
        tables.TRANSITIONS: list(proposal.transitions),
        tables.RECEIPTS: list(proposal.receipts),
        tables.RESOLUTIONS: list(proposal.resolutions),
    }


def _content(target: Target, row: Row) -> Row:
    """The row without the place of a history, which is where it was first reached: perhaps by another thread."""
    return row[:-_PLACE_COLUMNS] if target is tables.HISTORIES else row
