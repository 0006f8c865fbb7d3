"""Control records that are on their way to the stream: data waits for them meanwhile, and not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from concurrent.futures import Executor, Future
from contextlib import ExitStack, contextmanager

from relmachine.store.write_order import Order

EXPECTED_SECONDS_MAX = 0.1
"""How long data waits for a record that is on its way, or for several that are at the same time."""


class Expecting:
    """Used within one event loop. What may have to wait for a lock does so in `thread`, an executor of one thread.

    After data has waited for as long as it took, it goes on for as long: what is expected then is not announced.
    """

    def __init__(self, order: Order, thread: Executor) -> None:
        self._order, self._thread = order, thread
        self._records = 0
        self._held: ExitStack | None = None
        self._holding: Future[None] | None = None
        self._since = self._again = 0.0
        self._late: asyncio.TimerHandle | None = None
        self._closed = False

    @contextmanager
    def record(self) -> Generator[None]:
        """In the block a record is on its way."""
        loop = asyncio.get_running_loop()
        if not self._records and not self._closed and loop.time() >= self._again:
            self._hold(loop)
        self._records += 1
        try:
            yield
        finally:
            self._records -= 1
            if not self._records:
                self._let_go(loop)

    def holds(self) -> bool:
        """Whether data waits now, so that whoever writes at once does not overtake it again and again."""
        holding = self._holding if self._held is not None else None
        return holding is not None and holding.done() and holding.exception() is None

    def close(self) -> None:
        """Let data go on, before `thread` is shut down. May be called twice."""
        self._closed = True
        if self._held is not None:
            self._thread.submit(self._held.close)
            self._held = None
        if self._late is not None:
            self._late.cancel()

    def _hold(self, loop: asyncio.AbstractEventLoop) -> None:
        self._held, self._since = ExitStack(), loop.time()
        self._holding = self._thread.submit(self._held.enter_context, self._order.urgent())
        self._late = loop.call_later(EXPECTED_SECONDS_MAX, self._let_go, loop)

    def _let_go(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._held is None:
            return
        self._thread.submit(self._held.close)
        self._held = None
        self._again = loop.time() + (loop.time() - self._since)
        if self._late is not None:
            self._late.cancel()
