"""What laws of the author's own may see of the threads, kept between turns so that no history is read twice.

Like the hot states it is a cache that the store's fence corrects: events count only at the head they were read at.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from relmachine.gates.own_law_past import Past, reach
from relmachine.store.sightings import past, sighting

if TYPE_CHECKING:
    from relmachine.gates.own_law_scene import Sighting
    from relmachine.kernel.candidate import Candidate
    from relmachine.kernel.limits import Limits
    from relmachine.kernel.proposal import Proposal
    from relmachine.kernel.state import ThreadState
    from relmachine.machine.plan import Plan
    from relmachine.store.port import Store


SIGHTINGS_CHARACTERS_MAX = 64 * 1024 * 1024
"""Size of the events kept of all threads together."""


@dataclass(frozen=True, slots=True)
class _Kept:
    head: str
    past: Past


class HotSightings:
    """At most `Limits.hot_values_threads_max` threads and `SIGHTINGS_CHARACTERS_MAX`, the least recently used dropped
    first. Of a thread no more is kept than `gates.own_law_past` says.
    """

    def __init__(self, plan: Plan, store: Store, limits: Limits) -> None:
        self._plan, self._store, self._limits = plan, store, limits
        self._guarded = reach(plan).guarded
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    async def load(
        self, states: Mapping[str, ThreadState], fresh: Mapping[str, Sequence[Candidate]]
    ) -> Mapping[str, Sequence[Sighting]]:
        """By thread the events that laws may see, in subject order, where a fresh step is one that they guard."""
        if not self._guarded:
            return {}
        wanted = [thread for thread, steps in fresh.items() if any(step.step in self._guarded for step in steps)]
        answers = await asyncio.gather(*(self._one(states[thread]) for thread in wanted))
        size = sum(kept.past.characters for kept in self._kept.values())
        while len(self._kept) > self._limits.hot_values_threads_max or size > SIGHTINGS_CHARACTERS_MAX:
            _, dropped = self._kept.popitem(last=False)
            size -= dropped.past.characters
        return dict(zip(wanted, answers, strict=True))

    def advance(self, proposal: Proposal) -> None:
        """The proposal is durable: its events are added to what is kept of its thread."""
        thread, kept = proposal.before.thread, self._kept.get(proposal.before.thread)
        if kept is None:
            return
        if kept.head != proposal.before.head or proposal.joins:
            self.drop(thread)
            return
        written: dict[str, list[tuple[str, str]]] = {}
        for event, name, value in proposal.contributions:
            written.setdefault(event, []).append((name, value))
        for event, place in zip(proposal.events, proposal.thread_events, strict=True):
            kept.past.add(sighting(event.step, event.event_id, place.evidence, written.get(event.event_id, ())))
        self._kept[thread] = _Kept(proposal.after.head, kept.past)

    def drop(self, thread: str) -> None:
        """Forget the thread: its state turned out stale, or unknown."""
        self._kept.pop(thread, None)

    async def _one(self, state: ThreadState) -> Sequence[Sighting]:
        kept = self._kept.get(state.thread)
        if kept is None or kept.head != state.head:
            # Kept once it is read: a read that fails must not leave a thread without a past behind.
            kept = self._kept[state.thread] = _Kept(state.head, await self._read(state))
        self._kept.move_to_end(state.thread)
        return tuple(kept.past.events)

    async def _read(self, state: ThreadState) -> Past:
        if not state.depth:
            return Past(self._plan, self._limits)
        return await past(self._store, self._plan, self._limits, state.thread, state.cursor)
