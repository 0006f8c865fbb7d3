"""Who runs a thread's turns: one at a time per thread, on whichever node the thread lives."""

from __future__ import annotations

from typing import Protocol


class Host(Protocol):
    """Adapters: `local` (in process); on a cluster, virtual actors behind sidecars."""

    async def advance(self, thread: str, hint: int) -> int:
        """Run turns of `thread` until its cursor has reached stream sequence `hint` or nothing more can be read.

        Returns the committed cursor. May be called any number of times, late, and for sequences long decided.
        Errors: whatever makes the turn impossible now (store or stream unreachable); the caller hands the hint back.
        """
        ...

    def reached(self, thread: str) -> int:
        """How far `thread` is known to be committed, without asking anybody; -1 when nothing is known."""
        ...

    def resting(self, thread: str) -> float:
        """Seconds until a turn of `thread` is tried again, as far as is known here, because turns of it failed by
        themselves; 0 for most. Asked for earlier, it would only fail: its hints may stay away so long.
        """
        ...

    async def close(self) -> None:
        """Let running turns finish, for a bounded time; start no more."""
        ...
