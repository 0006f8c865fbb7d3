"""Looking again and again at what the store has, for whoever acts on what nobody else does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

_log = structlog.get_logger(__name__)

SWEEP_SECONDS = 4.0
"""How often the store is asked."""

RETRY_SECONDS = 1.0
"""Pause after the store or the stream could not be reached."""


class Sweep:
    """Calls `look` from `start` to `close`, until it succeeds and then at intervals; `name` is in the log."""

    def __init__(self, name: str, look: Callable[[], Awaitable[None]]) -> None:
        self._name, self._look = name, look
        self._task: asyncio.Task[None] | None = None

    @property
    def started(self) -> bool:
        """Whether it was."""
        return self._task is not None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name=self._name)

    async def close(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                await self._look()
            except Exception as error:
                _log.warning("what is open is not known, will ask again", sweep=self._name, error=repr(error))
                await asyncio.sleep(RETRY_SECONDS)
            else:
                await asyncio.sleep(SWEEP_SECONDS)
