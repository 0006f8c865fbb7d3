"""Effects that a node hears of: told once to whoever listens, and to those who wait for one of them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

from relmachine.hosts.lane_telling import SentListener
from relmachine.hosts.lane_texts import control_of, effect_of
from relmachine.kernel.lane import Effect
from relmachine.kernel.outcome_rows import OutboxRow
from relmachine.store.lane import effect_at

if TYPE_CHECKING:
    from relmachine.hosts.lane_port import Records
    from relmachine.store.port import LaneStore

HEARD_MAX = 10_000
"""Effects remembered, so that one that is heard twice is told once."""

Listener = Callable[[Effect], None]
"""Called once an effect is durable; must not block and must not raise."""


class HeardEffects:
    """Effects of one store, whichever node took them. `listeners` are called with each, `on_left` with the message of
    one that is heard on the feed: it has left."""

    def __init__(self, records: Records, store: LaneStore) -> None:
        self.listeners: list[Listener] = []
        self.on_left: list[SentListener] = []
        self._records, self._store = records, store
        self._places: OrderedDict[tuple[str, int], None] = OrderedDict()
        self._awaited: dict[tuple[str, int], list[asyncio.Future[Effect]]] = {}

    async def listen(self) -> None:
        """Hear what other nodes took, until cancelled: messages of this node's store."""
        async with self._records.feed_reader.follow("effect") as messages:
            async for message in messages:
                if message.store == self._store.store_id and (control := control_of(message.body)):
                    self.hear(effect_of(message.thread, control))
                    row = OutboxRow(message.thread, message.sequence, "effect", "")  # its key is what is dropped by
                    for left in self.on_left:
                        left([row])

    def knows(self, thread: str, sequence: int) -> bool:
        """Whether it is remembered that the record at `sequence` of the lane took effect."""
        return (thread, sequence) in self._places

    def hear(self, effect: Effect) -> None:
        """It is durable; perhaps heard of twice."""
        place = (effect.thread, effect.control_seq)
        if place in self._places:
            return
        self._places[place] = None
        while len(self._places) > HEARD_MAX:
            self._places.popitem(last=False)
        for future in self._awaited.pop(place, ()):
            if not future.done():
                future.set_result(effect)
        for listener in self.listeners:
            listener(effect)

    async def effect(self, thread: str, sequence: int, seconds: float) -> Effect | None:
        """What became of the record, if that is known within `seconds`.

        Listens before it looks, so that an effect in between is not missed.
        """
        place = (thread, sequence)
        future: asyncio.Future[Effect] = asyncio.get_running_loop().create_future()
        self._awaited.setdefault(place, []).append(future)
        try:
            if place in self._places and (known := await effect_at(self._store, thread, sequence)) is not None:
                return known
            async with asyncio.timeout(seconds):
                return await future
        except TimeoutError:
            return await effect_at(self._store, thread, sequence)
        finally:
            waiting = self._awaited.get(place, [])
            if future in waiting:
                waiting.remove(future)
            if not waiting:
                self._awaited.pop(place, None)
