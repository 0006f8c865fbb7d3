"""Decisions on their way to where they survive a crash."""

from __future__ import annotations

from collections.abc import Sequence

from relmachine.engine.runs.port import Keep
from relmachine.kernel.answer import Decision


class Keeping:
    """Keeps each decision of a run once, in order; the first `kept` of them are kept since an earlier life."""

    def __init__(self, keep: Keep | None, kept: int) -> None:
        """Without `keep` nothing is kept."""
        self._keep, self._kept = keep, kept

    async def all(self, decisions: Sequence[Decision]) -> None:
        """Keep what is not kept yet. Called again while it runs, it may keep one twice, which does no harm."""
        if self._keep is None:
            return
        for place in range(self._kept, len(decisions)):
            await self._keep(place, decisions[place])
            self._kept = max(self._kept, place + 1)
