"""Where a run is carried out: the port that a runner asks before it does so itself, and the adapter of a node alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from relmachine.kernel.detached import OpenRun

Key = tuple[str, int]
"""Thread, and stream sequence of the request."""

Carry = Callable[[Key], Awaitable[None]]
"""Carries a run out on this node; returns when it did, or when there was nothing left to do. Raises nothing."""


class RunPlaces(Protocol):
    """Gives runs to nodes. It decides nothing: a run that two nodes carry out ends once."""

    async def start(self, carry: Carry) -> None:
        """Runs that are placed here go to `carry` from now on."""
        ...

    async def place(self, run: OpenRun) -> bool:
        """Whether a node, perhaps this one, is told to carry out this attempt; False: whoever asks does it.

        Ends in bounded time and raises nothing. Placing an attempt twice is placing it once.
        """
        ...

    async def close(self) -> None:
        """Take no more. What this node has in hand is free for others once it goes."""
        ...


class Here:
    """Every run where it was opened."""

    async def start(self, carry: Carry) -> None:
        """See `RunPlaces.start`: none comes."""

    async def place(self, run: OpenRun) -> bool:
        """See `RunPlaces.place`."""
        return False

    async def close(self) -> None:
        """See `RunPlaces.close`."""
