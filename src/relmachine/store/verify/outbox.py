"""Verification of feed messages that have not left: each says what its commit decided, no more and no less."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import orjson

from relmachine.algebra.identity import hash_of
from relmachine.kernel.control import RELEASE
from relmachine.kernel.follow_ups import FOLLOW_UP_SOURCE
from relmachine.kernel.outcome_rows import OutboxRow
from relmachine.kernel.proposal import Proposal
from relmachine.store.outcomes import receipt
from relmachine.store.port import Reads
from relmachine.store.verify.fault import Fault, reason, shown
from relmachine.store.verify.rows import StoredCommit

_Item = dict[str, object]
_EVENTS = "SELECT event_id FROM thread_events WHERE thread = ? AND seq > ? AND seq <= ?"
_LISTS = {"journal": "outcomes", "out": "transitions", "rejected": "rejections"}
"""The member of a feed's message that lists its items."""


class Feeds:
    """What the commit under way has for each feed, gathered step by step."""

    def __init__(self, thread: str) -> None:
        self._thread = thread
        self._items: dict[str, list[_Item]] = {kind: [] for kind in _LISTS}
        self._steps: list[_Item] = []
        self._answered: set[str] = set()

    def keep(self, proposal: Proposal) -> None:
        """Add what the turn of one step has for the feeds. What an answer proposes is known: it says so."""
        if proposal.run.answers:
            self._answered |= {hash_of(event.event_id) for event in proposal.events}
        for row in proposal.outbox:
            if row.kind == "journal":
                self._items["journal"] += orjson.loads(row.body)[_LISTS["journal"]]
            elif row.kind == "step":
                self._steps += [item for item in orjson.loads(row.body) if self._is_known(item)]
        self._items["out"] += [row._asdict() for row in proposal.transitions]
        self._items["rejected"] += [row._asdict() for row in proposal.rejections]

    async def check(self, store: Reads, commit: StoredCommit, waiting: Sequence[OutboxRow]) -> Fault | None:
        """The first of the `waiting` messages that is not the one of this commit. Ends the commit."""
        items, self._items = self._items, {kind: [] for kind in _LISTS}
        items["step"], self._steps = self._steps, []
        try:
            return await self._first_fault(store, commit, waiting, items)
        finally:
            self._answered = set()

    async def _first_fault(
        self, store: Reads, commit: StoredCommit, waiting: Sequence[OutboxRow], items: dict[str, list[_Item]]
    ) -> Fault | None:
        for row in waiting:
            try:
                fault = await self._differs(store, commit, row, items.get(row.kind, []))
            except Exception as error:  # a damaged text may break the reading of it anywhere
                fault = self._fault(row, reason(error), "")
            if fault is not None:
                return fault
        return None

    async def _differs(self, store: Reads, commit: StoredCommit, row: OutboxRow, items: list[_Item]) -> Fault | None:
        if row.kind == "step":
            return await self._proposed(store, commit, row, items)
        stored = cast("list[_Item]", orjson.loads(row.body)[_LISTS[row.kind]])
        if row.kind == "journal":
            decided = {item["at"] for item in items}
            repeats = [item for item in stored if item["at"] not in decided]
            for item in repeats:
                if not await self._repeats(store, commit, item):
                    return self._fault(row, item, "a repeat of an earlier step")
            items = sorted([*items, *repeats], key=lambda item: cast(int, item["at"]))
        frame = {
            "thread": self._thread,
            "from_sequence": commit.from_seq,
            "to_sequence": commit.to_seq,
            "history": commit.to_head,
        }
        body = orjson.dumps({**frame, _LISTS[row.kind]: items}).decode()
        return None if row.body == body and items else self._fault(row, row.body, body)

    async def _proposed(self, store: Reads, commit: StoredCommit, row: OutboxRow, known: list[_Item]) -> Fault | None:
        """Whether the steps are said to be proposed by events of the commit, in their thread; what a function in the
        turn proposes is known to nobody else. Of releases, and of what answers propose, there are those of the commit.
        """
        rows = (await store.select(_EVENTS, (self._thread, commit.from_seq, commit.to_seq))).rows
        events = {hash_of(cast(str, event)) for (event,) in rows}
        found = cast("list[dict[str, object]]", orjson.loads(row.body))
        if [one for one in found if self._is_known(one)] != known:
            return self._fault(row, row.body, known)
        for one in found:
            if self._is_known(one):
                continue
            if _proposer(one) not in events or (one["source"], one["subject"]) != (FOLLOW_UP_SOURCE, self._thread):
                return self._fault(row, one, "a step that an event of this commit proposes")
        return None if found else self._fault(row, row.body, "steps")

    def _is_known(self, item: _Item) -> bool:
        """Whether what is stored says all of the step that leaves."""
        return item["type"] == RELEASE or _proposer(item) in self._answered

    async def _repeats(self, store: Reads, commit: StoredCommit, item: _Item) -> bool:
        """Whether the item tells of a step published again, which leaves no row of its own."""
        first = await receipt(store, self._thread, cast(str, item["key"]))
        at = cast(int, item["at"])
        if first is None or not (commit.from_seq < at <= commit.to_seq and first.sequence < at):
            return False
        said = {"at": at, "step": first.step, "key": first.step_key, "outcome": "repeated", "sequence": first.sequence}
        return list(item.items()) == list(said.items())

    def _fault(self, row: OutboxRow, stored: object, computed: object) -> Fault:
        return Fault(self._thread, row.seq, "", f"outbox.body of {row.kind}", shown(stored), shown(computed))


def _proposer(item: _Item) -> str:
    """The event that a step's key names, by its hash."""
    return cast(str, item["id"]).partition("/")[0]
