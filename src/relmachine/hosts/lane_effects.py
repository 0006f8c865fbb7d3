"""What a node does once it hears of an effect: what it remembers of the thread is void, and who waits goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from relmachine.kernel.lane import Cancel, Effect

if TYPE_CHECKING:
    from relmachine.hosts.pauses import Pauses
    from relmachine.hosts.port import Host
    from relmachine.hosts.threads import HotThreads

_log = structlog.get_logger(__name__)

_ALL_THERE_IS = 2**63 - 1
"""A stream sequence that no thread reaches: a turn that is asked for it goes on until nothing more can be read."""

RunListener = Callable[[str, str, int | None], None]
"""Called with (thread, record, request): `request` is the step's sequence where only its run is meant."""


class OnEffect:
    """Listens in the node's loop. `listeners` are those who act on effects that were applied: they must not block."""

    def __init__(self, hot: HotThreads, pauses: Pauses, host: Host) -> None:
        self.listeners: list[RunListener] = []
        self._hot, self._pauses, self._host = hot, pauses, host
        self._turns: set[asyncio.Task[None]] = set()

    def heard(self, effect: Effect) -> None:
        """The effect is durable; perhaps heard of twice."""
        if effect.outcome != "applied":
            return
        self._hot.drop(effect.thread)
        if self._pauses.heard(effect):
            task = asyncio.create_task(self._go_on(effect.thread), name="thread goes on")
            self._turns.add(task)
            task.add_done_callback(self._turns.discard)
        request = Cancel.model_validate_json(effect.payload).request if effect.record == "cancel" else None
        for listener in self.listeners:
            listener(effect.thread, effect.record, request)

    async def _go_on(self, thread: str) -> None:
        """Its hints come again by themselves, but late: a turn at once."""
        try:
            await self._host.advance(thread, _ALL_THERE_IS)
        except Exception as error:
            _log.info("a thread goes on with its next hint", thread=thread, error=repr(error))
