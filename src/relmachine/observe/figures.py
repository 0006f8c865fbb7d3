"""Figures for the page and `status.json`: counted over the whole store, so never more often than is cheap."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from relmachine.errors import Code, RelmError
from relmachine.observe.port import NodeView
from relmachine.store import reading

REST_PER_COUNT = 10.0
"""A count is repeated at the earliest after so many times as long as it took: a tenth of one core at most."""


class Figures:
    """The figures of a node's store, counted again when the store has moved and enough time has passed."""

    def __init__(self, node: NodeView) -> None:
        self._node = node
        self._counting = asyncio.Lock()
        self._counted: Mapping[str, object] | None = None
        self._at: reading.Totals | None = None
        self._again_at_seconds = 0.0

    async def read(self) -> Mapping[str, object] | None:
        """The figures, at most as old as the last count took ten times; None while the store is too large for it."""
        async with self._counting:
            moved = await reading.totals(self._node.store)
            if moved != self._at and time.monotonic() >= self._again_at_seconds:
                started = time.monotonic()
                self._counted = await self._count()
                ended = time.monotonic()
                self._at, self._again_at_seconds = moved, ended + REST_PER_COUNT * (ended - started)
            return self._counted

    async def _count(self) -> Mapping[str, object] | None:
        try:
            return await reading.figures(self._node.store)
        except RelmError as error:
            if error.code is not Code.LIMIT_EXCEEDED:
                raise
            return None
