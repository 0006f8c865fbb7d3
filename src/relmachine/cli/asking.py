"""Asking the store of a context: its file is opened for reading only, whether its node runs or not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from relmachine.cli.running import run
from relmachine.node.context import Context
from relmachine.store.port import Reads

_Answer = TypeVar("_Answer")


def ask(folder: Path, question: Callable[[Reads], Awaitable[_Answer]]) -> _Answer:
    """The answer to `question` from the store of the node whose data folder is `folder`.

    Errors: `not_found` when no node has run there, `store_schema_future`, `unreachable`, and the question's own.
    """

    async def answered() -> _Answer:
        async with Context.load(folder).reading() as store:
            return await question(store)

    return run(answered)
