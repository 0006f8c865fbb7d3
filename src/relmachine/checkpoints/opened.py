"""The event loop on which a saver's database lives, and the ways to it from other threads and loops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import TypeVar

from anyio.from_thread import BlockingPortal, start_blocking_portal

from relmachine.checkpoints.checkpoints import Checkpoints
from relmachine.checkpoints.database import Database

Opening = Callable[[], Awaitable[Database]]

_T = TypeVar("_T")


class Opened:
    """Between `begin` and `end` a database is open, on a loop in a thread of its own."""

    def __init__(self) -> None:
        self._running: AbstractContextManager[BlockingPortal] | None = None
        self._portal: BlockingPortal
        self._kept: Checkpoints | None = None

    @property
    def kept(self) -> Checkpoints:
        """What is open. Errors: RuntimeError outside of the saver's context."""
        if self._kept is None:
            raise RuntimeError("open the saver first: use it inside `with saver:` or `async with saver:`")
        return self._kept

    def begin(self, opening: Opening) -> None:
        """Start the loop and open the database on it. Errors: what `opening` raises; RuntimeError when it is open."""
        if self._kept is not None:
            raise RuntimeError("the saver is open already: use it, or make another one")
        self._running = start_blocking_portal("asyncio")
        self._portal = self._running.__enter__()
        try:
            self._kept = Checkpoints(self.wait(opening))
        except BaseException:
            self._running.__exit__(None, None, None)
            raise

    def end(self) -> None:
        """Close the database, then the loop."""
        kept, self._kept = self.kept, None
        assert self._running is not None
        try:
            self.wait(kept.close)
        finally:
            self._running.__exit__(None, None, None)

    def wait(self, work: Callable[..., Awaitable[_T]], *arguments: object) -> _T:
        """Run `work` there and wait for it, from any thread but the loop's own."""
        return self._portal.call(work, *arguments)

    async def hear(self, work: Callable[..., Awaitable[_T]], *arguments: object) -> _T:
        """Run `work` there while this loop goes on; cancelling the wait cancels the work."""
        return await asyncio.wrap_future(self._portal.start_task_soon(work, *arguments))
