"""Where checkpoints are kept, as the saver sees it. Adapters: `sqlite` (a file) and `rqlite` (replicated servers)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from relmachine.store.opening import CHECKPOINTS_SCHEMA, statements

Statement = tuple[object, ...]
"""The text of a statement and its parameters: text, integers, None."""

Row = tuple[object, ...]


class Database(Protocol):
    """Lives on one event loop. Every call may be made twice."""

    async def rows(self, statement: Statement) -> Sequence[Row]:
        """What a query says, after every write that was answered. Errors: `unreachable`."""
        ...

    async def write(self, statements: Sequence[Statement]) -> None:
        """One durable transaction of idempotent statements. Errors: `unreachable`, `limit_exceeded`."""
        ...

    async def close(self) -> None:
        """Finish what runs and let go."""
        ...


def creation() -> Sequence[Statement]:
    """The statements that make the tables where there are none."""
    return [(statement,) for statement in statements(CHECKPOINTS_SCHEMA.read_text(encoding="utf-8"))]
