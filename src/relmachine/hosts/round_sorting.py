"""What a round makes of new messages before it decides: their shape, whether they repeat, what they may read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from relmachine.hosts.control_words import refuse_if_closed
from relmachine.hosts.repetition import Sorted, sort_out
from relmachine.hosts.stretch import Stretch
from relmachine.kernel.candidate import Candidate
from relmachine.kernel.verdicts import Refused
from relmachine.machine.plan import Plan, Reducer

if TYPE_CHECKING:
    from relmachine.gates.own_law_scene import Sighting
    from relmachine.gates.shape import ShapeGate
    from relmachine.hosts.sightings import HotSightings
    from relmachine.hosts.values import Folds, HotValues
    from relmachine.kernel.candidate import Message
    from relmachine.kernel.state import ThreadState
    from relmachine.store.port import Receipt, Store


@dataclass(frozen=True, slots=True)
class Turn:
    """One thread in a round: its state, what gate 1 and the receipts made of its new messages."""

    state: ThreadState
    sorted: Sorted
    values: Folds
    seen: Sequence[Sighting] = ()


class Sorting:
    """Gate 1 and the receipts."""

    def __init__(
        self, plan: Plan, shape: ShapeGate, store: Store, values: HotValues, sightings: HotSightings | None
    ) -> None:
        self._shape, self._store = shape, store
        self._values, self._sightings = values, sightings
        fields = plan.fields
        self._folded_reads = {
            step.name: frozenset(name for name in step.read_fields if fields[name].reducer is not Reducer.ONCE)
            for step in plan.steps
            if step.computed
        }

    async def turns(self, states: Mapping[str, ThreadState], messages: Mapping[str, Sequence[Message]]) -> list[Turn]:
        """A turn for each thread that has messages."""
        check = self._shape.check
        shaped: dict[str, list[Candidate | Refused]] = {}
        stretch = Stretch(self._store.calm)
        for thread, batch in messages.items():
            if batch:
                shaped[thread] = [check(message) for message in batch]
                await stretch.let_others_in()
        receipts = await self._receipts(states, shaped)
        sorted_out = {thread: sort_out(thread, items, receipts) for thread, items in shaped.items()}
        for thread, found in sorted_out.items():
            no = refuse_if_closed(states[thread], found.fresh)
            found.decided.update((item.candidate.sequence, item) for item in no)
            found.fresh = [] if no else found.fresh
        values = await self._folds(states, sorted_out)
        seen = await self._seen(states, sorted_out)
        return [
            Turn(states[thread], found, values.get(thread, {}), seen.get(thread, ()))
            for thread, found in sorted_out.items()
        ]

    async def _receipts(
        self, states: Mapping[str, ThreadState], shaped: Mapping[str, Sequence[Candidate | Refused]]
    ) -> Mapping[tuple[str, str], Receipt]:
        """Receipts that any of the steps may repeat; a thread without a cursor has none."""
        keys = [
            (thread, candidate.step_key)
            for thread, items in shaped.items()
            if states[thread].cursor
            for candidate in (item.candidate if isinstance(item, Refused) else item for item in items)
            if candidate.step_key
        ]
        return await self._store.receipts(keys) if keys else {}

    async def _folds(self, states: Mapping[str, ThreadState], found: Mapping[str, Sorted]) -> Mapping[str, Folds]:
        """Folds of the fields that the fresh steps' closures read; `once` fields are in the state."""
        reads = self._folded_reads
        fields = {
            thread: frozenset(name for step in some.fresh for name in reads.get(step.step, ()))
            for thread, some in found.items()
        }
        return await self._values.load({thread: (states[thread], some) for thread, some in fields.items() if some})

    async def _seen(
        self, states: Mapping[str, ThreadState], found: Mapping[str, Sorted]
    ) -> Mapping[str, Sequence[Sighting]]:
        """What laws of the author's own may see of the threads' events."""
        if self._sightings is None:
            return {}
        return await self._sightings.load(states, {thread: some.fresh for thread, some in found.items()})
