"""What laws of the author's own may see of the threads, kept between turns so that no history is read twice.

Like the hot states it is a cache that the store's fence corrects: events count only at the head they were read at.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from relmachine.gates.own_law_facts import sights
from relmachine.gates.own_law_scene import Sighting
from relmachine.store.sightings import sighting, sightings

if TYPE_CHECKING:
    from relmachine.kernel.envelope import Candidate
    from relmachine.kernel.limits import Limits
    from relmachine.kernel.proposal import Proposal
    from relmachine.kernel.state import ThreadState
    from relmachine.machine.plan import Plan
    from relmachine.store.port import Store


@dataclass(slots=True)
class _Kept:
    head: str
    events: list[Sighting]


class HotSightings:
    """At most `Limits.hot_values_threads_max` threads, the least recently used dropped first.

    Of a thread no more events are kept than `Limits.own_law_facts_max` and one: with more, every law refuses anyway.
    """

    def __init__(self, plan: Plan, store: Store, limits: Limits) -> None:
        self._store, self._limits = store, limits
        known = sights(plan)
        self._guarded = frozenset(name for sight in known if sight.steps for name in sight.law.guards)
        self._steps = frozenset(name for sight in known for name in sight.steps)
        self._fields = frozenset(name for sight in known for name in sight.law.fields)
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    async def load(
        self, states: Mapping[str, ThreadState], fresh: Mapping[str, Sequence[Candidate]]
    ) -> Mapping[str, Sequence[Sighting]]:
        """By thread the events that laws may see, in subject order, where a fresh step is one that they guard."""
        if not self._guarded:
            return {}
        wanted = [thread for thread, steps in fresh.items() if any(step.step in self._guarded for step in steps)]
        answers = await asyncio.gather(*(self._one(states[thread]) for thread in wanted))
        return dict(zip(wanted, answers, strict=True))

    def advance(self, proposal: Proposal) -> None:
        """The proposal is durable: its events are added to what is kept of its thread."""
        thread, kept = proposal.before.thread, self._kept.get(proposal.before.thread)
        if kept is None:
            return
        if kept.head != proposal.before.head or proposal.controls:
            self.drop(thread)
            return
        written: dict[str, list[tuple[str, str]]] = {}
        for event, name, value in proposal.contributions:
            written.setdefault(event, []).append((name, value))
        self._add(
            kept,
            (
                sighting(event.step, event.event_id, place.evidence, written.get(event.event_id, ()))
                for event, place in zip(proposal.events, proposal.thread_events, strict=True)
            ),
        )
        kept.head = proposal.after.head

    def drop(self, thread: str) -> None:
        """Forget the thread: its state turned out stale, or unknown."""
        self._kept.pop(thread, None)

    async def _one(self, state: ThreadState) -> Sequence[Sighting]:
        kept = self._kept.get(state.thread)
        if kept is None or kept.head != state.head:
            kept = self._kept[state.thread] = _Kept(state.head, [])
            self._add(kept, await self._read(state))
        self._kept.move_to_end(state.thread)
        while len(self._kept) > self._limits.hot_values_threads_max:
            self._kept.popitem(last=False)
        return tuple(kept.events)

    def _add(self, kept: _Kept, events: Iterable[Sighting]) -> None:
        room = self._limits.own_law_facts_max + 1 - len(kept.events)
        kept.events += [event for event in events if event.step in self._steps][:room]

    async def _read(self, state: ThreadState) -> list[Sighting]:
        if not state.depth:
            return []
        steps, fields, limits = sorted(self._steps), sorted(self._fields), self._limits
        return await sightings(self._store, state.thread, steps, fields, limits.own_law_facts_max + 1)
