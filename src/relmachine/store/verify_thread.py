"""Verification of one thread: its steps through the kernel's turn again, commit by commit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

import orjson

from relmachine.algebra.identity import digest
from relmachine.errors import Code, RelmError
from relmachine.kernel.advance import advance
from relmachine.kernel.envelope import ANONYMOUS, Candidate
from relmachine.kernel.proposal import Proposal
from relmachine.kernel.state import ThreadState, dump_state, initial_state
from relmachine.kernel.verdicts import Admitted, Decided, GateName, Refusal, Refused
from relmachine.machine.plan import Plan
from relmachine.store import tables
from relmachine.store.port import Reads
from relmachine.store.tables import Target
from relmachine.store.verify_rows import HISTORY, Row, StoredCommit, StoredStep, stored_commits, stored_steps

_STATE = "SELECT head, seq, state FROM threads WHERE thread = ?"
_SHOWN_MAX = 200


@dataclass(frozen=True, slots=True)
class Fault:
    """The first thing found wrong: where, which column or rule, what is stored and what it should be.

    `event_id` is the stored one; it is empty for a refused step and where no event is concerned.
    """

    thread: str
    sequence: int
    event_id: str
    differs: str
    stored: str
    computed: str


class ThreadCheck:
    """One pass over one thread. `counts` is added to as rows prove right."""

    def __init__(self, store: Reads, plans: Mapping[str, Plan], thread: str, counts: Counter[str]) -> None:
        self._store, self._plans, self._thread, self._counts = store, plans, thread, counts
        self._newest = list(plans.values())[-1]
        self._state = initial_state(self._newest, thread)
        self._committed = self._state

    async def run(self) -> Fault | None:
        """The first fault of the thread, or None."""
        commits = stored_commits(self._store, self._thread)
        commit = await anext(commits, None)
        async for step in stored_steps(self._store, self._thread):
            while commit is not None and step.sequence > commit.to_seq:
                fault = self._close(commit)
                if fault is not None:
                    return fault
                commit = await anext(commits, None)
            if commit is None:
                return self._fault(step, "commits: no commit covers the step", "", "")
            fault = self._step(step)
            if fault is not None:
                return fault
        while commit is not None:
            fault = self._close(commit)
            if fault is not None:
                return fault
            commit = await anext(commits, None)
        return await self._stands()

    def _step(self, step: StoredStep) -> Fault | None:
        """Put one step through the turn again and compare what it gives with what is stored."""
        if step.sequence <= self._state.cursor:
            return self._fault(step, "the sequence was decided already", str(step.sequence), str(self._state.cursor))
        try:
            plan = self._plans[str(step.event["plan_digest"])] if step.event else self._newest
            proposal = advance(plan, self._state, [_decided(self._thread, step)])
        except (KeyError, ValueError, TypeError, RelmError) as error:
            return self._fault(step, "the event cannot be computed again", "", f"{type(error).__name__}: {error}")
        for target, rows in _computed(proposal).items():
            fault = self._compare(step, target, step.rows.get(target, []), sorted(rows))
            if fault is not None:
                return fault
            self._counts[target.name] += len(rows)
        self._state = proposal.after
        return None

    def _compare(self, step: StoredStep, target: Target, stored: list[Row], computed: list[Row]) -> Fault | None:
        if stored == computed:
            return None
        if len(stored) != len(computed):
            return self._fault(step, f"{target.name}: number of rows", str(len(stored)), str(len(computed)))
        for one, other in zip(stored, computed, strict=True):
            # An event's own id differs whenever anything in it does: it comes last.
            for name, here, there in sorted(zip(target.columns, one, other, strict=True), key=_by_telling):
                if here != there:
                    return self._fault(step, f"{target.name}.{name}", str(here), str(there))
        return None

    def _close(self, commit: StoredCommit) -> Fault | None:
        """The end of a commit: it starts where the one before ended, and leads to the history computed here."""
        before, after = self._committed, self._state
        found = (commit.from_seq, commit.from_head, commit.to_head)
        expected = (before.cursor, before.head, after.head)
        if found != expected:
            return Fault(self._thread, commit.to_seq, "", "commits: the chain of heads", str(found), str(expected))
        self._state = self._committed = _at(after, commit.to_seq)
        self._counts["commits"] += 1
        return None

    async def _stands(self) -> Fault | None:
        head, seq, text = (await self._store.select(_STATE, (self._thread,))).rows[0]
        found = (head, seq, orjson.loads(cast(str, text)))
        expected = (self._state.head, self._state.cursor, orjson.loads(dump_state(self._state)))
        for name, here, there in zip(("head", "seq", "state"), found, expected, strict=True):
            if here != there:
                return Fault(self._thread, self._state.cursor, "", f"threads.{name}", _shown(here), _shown(there))
        return None

    def _fault(self, step: StoredStep, differs: str, stored: str, computed: str) -> Fault:
        event = str(step.event.get("event_id") or "")
        return Fault(self._thread, step.sequence, event, differs, _shown(stored), _shown(computed))


def _decided(thread: str, step: StoredStep) -> Decided:
    """The step as the turn got it."""
    return _admitted(thread, step) if step.event else _refused(thread, step)


def _admitted(thread: str, step: StoredStep) -> Admitted:
    event = cast(dict[str, str], step.event)
    evidence = cast(dict[str, str], orjson.loads(cast(str, step.rows[tables.THREAD_EVENTS][0][4])))
    candidate = Candidate(
        sequence=step.sequence,
        thread=thread,
        step=event["step"],
        step_key=event["step_key"],
        payload=event["payload"],
        payload_digest=digest("payload", event["payload"]),
        principal=evidence.get("principal", ANONYMOUS),
        time=evidence.get("time"),
        traceparent=evidence.get("traceparent"),
    )
    pairs = [(cast(str, name), cast(str, value)) for _, name, value in step.rows[tables.CONTRIBUTIONS]]
    return Admitted(candidate, tuple(pairs))


def _refused(thread: str, step: StoredStep) -> Refused:
    rejection = dict(zip(tables.REJECTIONS.columns, step.rows[tables.REJECTIONS][0], strict=True))
    receipts = step.rows[tables.RECEIPTS]
    payload_digest = cast(str, receipts[0][3]) if receipts else ""
    step_name, key = cast(str, rejection["step"]), cast(str, rejection["step_key"])
    refusal = Refusal(
        Code(cast(str, rejection["code"])),
        GateName(cast(str, rejection["gate"])),
        cast(str, rejection["sentence"]),
        orjson.loads(cast(str, rejection["witness"])),
    )
    return Refused(Candidate(step.sequence, thread, step_name, key, "", payload_digest), refusal, keyed=bool(receipts))


def _computed(proposal: Proposal) -> dict[Target, list[Row]]:
    """The rows that the turn gives, in the order in which they are compared: what explains the rest comes first."""
    return {
        tables.EVENTS: list(proposal.events),
        tables.CONTRIBUTIONS: list(proposal.contributions),
        tables.CLAIMS: list(proposal.claims),
        HISTORY: list(proposal.histories),
        tables.THREAD_EVENTS: list(proposal.thread_events),
        tables.EXTENSIONS: list(proposal.extensions),
        tables.TRANSITIONS: list(proposal.transitions),
        tables.REJECTIONS: list(proposal.rejections),
        tables.RECEIPTS: list(proposal.receipts),
    }


def _at(state: ThreadState, cursor: int) -> ThreadState:
    """`state` with its cursor at the end of a commit, which may lie beyond its last decided step."""
    return replace(state, cursor=cursor)


def _by_telling(column: tuple[str, object, object]) -> bool:
    return column[0] == "event_id"


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN_MAX else text[:_SHOWN_MAX] + "…"
