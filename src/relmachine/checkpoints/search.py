"""Where a search for checkpoints stands: page by page, until enough are found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.checkpoint.serde.base import SerializerProtocol

from relmachine.checkpoints.database import Row

Page = tuple[Sequence[CheckpointTuple], Row | None]


class Search:
    """What is asked for, how many are still wanted, and after which checkpoint to go on."""

    def __init__(
        self,
        serde: SerializerProtocol,
        config: RunnableConfig | None,
        wanted: Mapping[str, Any],
        before: RunnableConfig | None,
        limit: int | None,
    ) -> None:
        self._asked = (serde, config, wanted, before)
        self._limit = limit
        self._after: Row | None = None
        self.goes_on = limit is None or limit > 0

    def next(self) -> tuple[object, ...]:
        """Arguments of `Checkpoints.page`."""
        return (*self._asked, self._limit, self._after)

    def take(self, page: Page) -> Sequence[CheckpointTuple]:
        """Count the page."""
        found, self._after = page
        if self._limit is not None:
            self._limit -= len(found)
        self.goes_on = self._after is not None and self._limit != 0
        return found
