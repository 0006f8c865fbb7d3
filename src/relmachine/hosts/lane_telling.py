"""Effects on the feed: their messages leave as soon as they are there, and the relay sends what fails here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import structlog

from relmachine.errors import RelmError
from relmachine.kernel.outcome_rows import OutboxRow
from relmachine.store.lane import waiting

if TYPE_CHECKING:
    from relmachine.store.port import LaneStore
    from relmachine.stream.port import Feeds

_log = structlog.get_logger(__name__)

SentListener = Callable[[Sequence[OutboxRow]], None]
"""Called with messages of effects that left: they may be dropped from the store."""


class Telling:
    """Sends messages of effects. `listeners` are called with what left."""

    def __init__(self, feeds: Feeds, store: LaneStore) -> None:
        self.listeners: list[SentListener] = []
        self._feeds, self._store = feeds, store
        self._untold: set[str] = set()
        self._tell = asyncio.Event()

    def tell(self, threads: Iterable[str]) -> None:
        """These have effects that nobody was told of yet."""
        self._untold.update(threads)
        self._tell.set()

    async def run(self) -> None:
        """Send, until cancelled; the messages of other nodes on these threads go before."""
        while True:
            await self._tell.wait()
            self._tell.clear()
            threads, self._untold = self._untold, set()
            await self._emit(threads)

    async def _emit(self, threads: set[str]) -> None:
        try:
            sent = await self._feeds.emit(await waiting(self._store, sorted(threads)))
        except (RelmError, OSError) as error:
            _log.info("effects leave with the other feeds", threads=len(threads), error=repr(error))
            return
        for gone in self.listeners:
            gone(sent)
