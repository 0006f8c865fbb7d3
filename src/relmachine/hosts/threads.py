"""The hot cache of thread states: what this node committed last, checked by the store's fence and not by trust."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from relmachine.kernel.state import ThreadState, initial_state
from relmachine.machine.plan import Plan
from relmachine.store.port import Store


class Loaded(NamedTuple):
    """States by thread; `strangers` are those that somebody else may have moved last, or this node long ago."""

    states: Mapping[str, ThreadState]
    strangers: frozenset[str]


class HotThreads:
    """At most `capacity` states, the least recently used dropped first.

    A state that is out of date costs one stale commit, which drops it here; it can never be committed on.
    """

    def __init__(self, plan: Plan, store: Store, capacity: int) -> None:
        self._plan, self._store, self._capacity = plan, store, capacity
        self._states: OrderedDict[str, ThreadState] = OrderedDict()

    async def load(self, threads: Sequence[str]) -> Loaded:
        """The state of every thread asked for; one that has none yet starts empty."""
        cold = [thread for thread in threads if thread not in self._states]
        found: Mapping[str, ThreadState] = await self._store.states(cold) if cold else {}
        loaded: dict[str, ThreadState] = {}
        for thread in threads:
            state = self._states.get(thread)
            if state is not None:
                self._states.move_to_end(thread)
            loaded[thread] = state or found.get(thread) or initial_state(self._plan, thread)
        return Loaded(loaded, frozenset(found))

    def keep(self, states: Iterable[ThreadState]) -> None:
        """Remember what was committed."""
        for state in states:
            self._states[state.thread] = state
            self._states.move_to_end(state.thread)
        while len(self._states) > self._capacity:
            self._states.popitem(last=False)

    def drop(self, thread: str) -> None:
        """Forget a state that turned out stale."""
        self._states.pop(thread, None)
