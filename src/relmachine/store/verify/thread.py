"""Verification of one thread: its steps through the kernel's turn again, commit by commit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

import orjson

from relmachine.kernel.advance import advance
from relmachine.kernel.control import ANSWER, RELEASE
from relmachine.kernel.held import waits
from relmachine.kernel.outcome_rows import OutboxRow
from relmachine.kernel.proposal import Proposal
from relmachine.kernel.state import dump_state, initial_state
from relmachine.kernel.thread_token import thread_label
from relmachine.kernel.verdicts import Admitted, Refused
from relmachine.machine.plan import Plan
from relmachine.store import tables
from relmachine.store.port import Reads
from relmachine.store.tables import Target
from relmachine.store.verify.decided import Told, fault_at
from relmachine.store.verify.fault import Fault, reason, shown
from relmachine.store.verify.gate import Verdicts, agreed
from relmachine.store.verify.held import HeldAgain
from relmachine.store.verify.outbox import Feeds
from relmachine.store.verify.own_laws import OwnVerdicts
from relmachine.store.verify.records import RecordAgain
from relmachine.store.verify.rows import StoredCommit, StoredThread
from relmachine.store.verify.runs import RunAgain
from relmachine.store.verify.steps import Row, StoredRecord, StoredStep


class ThreadCheck:
    """One pass over one thread, fed with its steps and commits in order. `counts` is added to as rows prove right."""

    def __init__(self, stored: StoredThread, plans: Mapping[str, Plan], newest: Plan, counts: Counter[str]) -> None:
        self.stored, self._plans, self._newest, self._counts = stored, plans, newest, counts
        self.state = self._committed = initial_state(newest, stored.thread)
        self._feeds = Feeds(stored.thread)

    def step(self, item: Told, verdicts: Verdicts, own: OwnVerdicts, *, feeds: bool) -> Fault | None:
        """Put one step through the turn again and compare what it gives with what is stored.

        `feeds` says that the commit may have feed messages left, for which its outcomes are kept.
        """
        step, decided = item.step, item.decided
        if isinstance(decided, Fault):
            return decided
        if step.sequence <= self.state.cursor:
            return fault_at(step, "the sequence was decided already", step.sequence, self.state.cursor)
        place = (step.thread, step.sequence)
        refused = agreed(item, decided, verdicts[place]) if item.by_admission else decided
        if place in own and not isinstance(refused, Fault):
            refused = agreed(item, refused, own[place])
        try:
            # An event that is not admitted is compared first: what is wrong with its rows says more.
            proposal = self._advance(step, decided if isinstance(refused, Fault) else refused)
        except Exception as error:  # a damaged row may break the turn anywhere
            return fault_at(step, "the event cannot be computed again", "", reason(error))
        computed = _computed(proposal)
        for target, rows in computed.items():
            fault = _compare(step, target, step.rows.get(target, []), sorted(rows))
            if fault is not None:
                return fault
        fault = item.doubt or (refused if isinstance(refused, Fault) else None)
        if isinstance(decided, Refused) and waits(self._newest, decided):
            fault = fault_at(step, "rejections: a step that is held", decided.refusal.code, "")
        if self.state.closed and isinstance(decided, Admitted):
            fault = fault_at(step, "an event of a thread that was merged into another", self.state.closed, "")
        if fault is not None:
            return fault
        self._counts.update({target.name: len(rows) for target, rows in computed.items()})
        if feeds:
            self._feeds.keep(proposal)
        self.state = proposal.after
        return None

    async def record(self, store: Reads, record: StoredRecord, *, feeds: bool) -> Fault | None:
        """Put one control record through its turn again and compare what it gives with what is stored."""
        if record.sequence <= self.state.cursor:
            differs = "the sequence was decided already"
            return Fault(record.thread, record.sequence, "", differs, shown(record.sequence), shown(self.state.cursor))
        again = _again(record)(store, self._newest, self.state, record)
        try:
            proposal = await again.proposal()
            fault = proposal if isinstance(proposal, Fault) else await again.differs(proposal)
        except Exception as error:  # a damaged row may break the turn anywhere
            return again.fault("the record cannot be decided again", "", reason(error))
        if isinstance(proposal, Fault) or fault is not None:
            return fault
        self._counts.update(again.counts(proposal))
        if feeds:
            self._feeds.keep(proposal)
        self.state = proposal.after
        return None

    async def close(self, store: Reads, commit: StoredCommit, outbox: Sequence[OutboxRow]) -> Fault | None:
        """The end of a commit: it starts where the one before ended, and leads to the history computed here.

        `outbox` are the feed messages of the commit that have not left.
        """
        before, after = self._committed, self.state
        found = (commit.from_seq, commit.from_head, commit.epoch, commit.to_head)
        expected = (before.cursor, before.head, commit.stops, after.head)
        if found != expected:
            differs = "commits: the chain of heads"
            return Fault(self.stored.thread, commit.to_seq, "", differs, shown(found), shown(expected))
        fault = await self._feeds.check(store, commit, outbox)
        if fault is None:
            # The cursor may lie beyond the last decided step: repeats leave no row.
            self.state = self._committed = replace(after, cursor=commit.to_seq)
            self._counts.update(["commits", *("outbox" for _ in outbox)])
        return fault

    def finish(self) -> Fault | None:
        """The thread's own row, after all its steps and commits."""
        stored, state = self.stored, self.state
        expected: dict[str, tuple[object, object]] = {
            "head": (stored.head, state.head),
            "seq": (stored.seq, state.cursor),
            "epoch": (stored.epoch, stored.stops),
            "state": (stored.state, dump_state(state)),
            "label": (stored.label, thread_label(stored.thread)),
            "snapshot_depth": (stored.snapshot_depth, stored.deepest),
            "fenced": (stored.fenced, stored.paused),
        }
        for name, (found, computed) in expected.items():
            if found != computed:
                return Fault(stored.thread, state.cursor, "", f"threads.{name}", shown(found), shown(computed))
        self._counts["threads"] += 1
        return None

    def _advance(self, step: StoredStep, decided: Admitted | Refused) -> Proposal:
        plan = self._plans[str(step.event["plan_digest"])] if step.event else self._newest
        proposal = advance(plan, self.state, [decided])
        if isinstance(decided, Admitted):
            return proposal
        (row,), stored = proposal.rejections, cast(str, step.rows[tables.REJECTIONS][0][7])
        if decided.refusal.witness == orjson.loads(stored):
            # The turn would cut again what was cut, and its members may have come in another order.
            row = row._replace(witness=stored)
        return replace(proposal, rejections=(row,))


def _again(record: StoredRecord) -> type[RecordAgain]:
    if record.home is tables.HELD or record.row[2] == RELEASE:
        return HeldAgain
    return RunAgain if record.home is tables.RUNS or record.row[2] == ANSWER else RecordAgain


def _computed(proposal: Proposal) -> dict[Target, list[Row]]:
    """The rows that the turn gives, in the order in which they are compared: what explains the rest comes first."""
    places = zip(proposal.histories, proposal.thread_events, strict=True)
    return {
        tables.EVENTS: list(proposal.events),
        tables.CONTRIBUTIONS: list(proposal.contributions),
        tables.CLAIMS: list(proposal.claims),
        tables.HISTORIES: [(*history, at.thread, at.seq, at.place) for history, at in places],
        tables.THREAD_EVENTS: list(proposal.thread_events),
        tables.EXTENSIONS: list(proposal.extensions),
        tables.TRANSITIONS: list(proposal.transitions),
        tables.REJECTIONS: list(proposal.rejections),
        tables.RECEIPTS: list(proposal.receipts),
    }


def _compare(step: StoredStep, target: Target, stored: Sequence[Row], computed: Sequence[Row]) -> Fault | None:
    if stored == computed:
        return None
    if len(stored) != len(computed):
        return fault_at(step, f"{target.name}: number of rows", len(stored), len(computed))
    for one, other in zip(stored, computed, strict=True):
        # An event's own id differs whenever anything in it does: it comes last.
        for name, here, there in sorted(zip(target.columns, one, other, strict=True), key=_by_telling):
            if here != there:
                return fault_at(step, f"{target.name}.{name}", here, there)
    return None


def _by_telling(column: tuple[str, object, object]) -> bool:
    return column[0] == "event_id"
