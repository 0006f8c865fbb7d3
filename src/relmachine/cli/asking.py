"""Asking the store of a context: its file is opened for reading only, whether its node runs or not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from relmachine.node.context import Context
from relmachine.store.port import Reads
from relmachine.store.sqlite import open_reading

_Answer = TypeVar("_Answer")


def ask(folder: Path, question: Callable[[Reads], Awaitable[_Answer]]) -> _Answer:
    """The answer to `question` from the store of the node whose data folder is `folder`.

    Errors: `not_found` when no node has run there, `store_schema_future`, `unreachable`, and the question's own.
    """

    async def answered() -> _Answer:
        store = open_reading(Context.load(folder).store_path)
        try:
            return await question(store)
        finally:
            await store.close()

    return asyncio.run(answered())
