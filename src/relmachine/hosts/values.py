"""Folded values of the threads that computed steps read, kept between turns so that no history is folded twice.

Like the hot states it is a cache that the store's fence corrects: values count only at the head they were folded at.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from relmachine.kernel.folds import FieldFold, fold_of

if TYPE_CHECKING:
    from relmachine.kernel.proposal import Proposal
    from relmachine.kernel.state import ThreadState
    from relmachine.machine.plan import Plan
    from relmachine.store.port import Store

Folds = Mapping[str, FieldFold]
"""By field; a field that nothing was contributed to is not there."""


@dataclass(slots=True)
class _Kept:
    head: str
    fields: frozenset[str]
    folds: dict[str, FieldFold]


class HotValues:
    """At most `capacity` threads, the least recently used dropped first. The folds given out are not to be added to."""

    def __init__(self, plan: Plan, store: Store, capacity: int) -> None:
        self._plan, self._store, self._capacity = plan, store, capacity
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    async def load(self, wanted: Mapping[str, tuple[ThreadState, frozenset[str]]]) -> Mapping[str, Folds]:
        """For each thread the folds of the fields wanted, at the head of its state."""
        answers = await asyncio.gather(*(self._one(state, fields) for state, fields in wanted.values()))
        return dict(zip(wanted, answers, strict=True))

    def advance(self, proposal: Proposal) -> None:
        """The proposal is durable: what it contributed is added to what is kept of its thread."""
        thread, kept = proposal.before.thread, self._kept.get(proposal.before.thread)
        if kept is None:
            return
        if kept.head != proposal.before.head:
            self.drop(thread)
            return
        for _, name, text in proposal.contributions:
            if name in kept.folds:
                kept.folds[name].add(text)
            elif name in kept.fields and (made := fold_of(self._plan.fields[name], [text])) is not None:
                kept.folds[name] = made
        kept.head = proposal.after.head

    def drop(self, thread: str) -> None:
        """Forget the thread: its state turned out stale, or unknown."""
        self._kept.pop(thread, None)

    async def _one(self, state: ThreadState, fields: frozenset[str]) -> Folds:
        kept = self._kept.get(state.thread)
        if kept is None or kept.head != state.head or not fields <= kept.fields:
            every = fields | kept.fields if kept is not None else fields
            kept = _Kept(state.head, every, await self._folded(state, every))
            self._kept[state.thread] = kept
        self._kept.move_to_end(state.thread)
        while len(self._kept) > self._capacity:
            self._kept.popitem(last=False)
        return {name: kept.folds[name] for name in fields if name in kept.folds}

    async def _folded(self, state: ThreadState, fields: frozenset[str]) -> dict[str, FieldFold]:
        if not state.cursor:
            return {}
        texts = await self._store.contributions(state.thread, sorted(fields))
        made = {name: fold_of(self._plan.fields[name], some) for name, some in texts.items()}
        return {name: one for name, one in made.items() if one is not None}
