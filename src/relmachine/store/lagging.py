"""What a store says about who is behind: rows that are not known to be on a feed yet, and threads' cursors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import orjson

from relmachine.store.port import Reads

_UNSENT = """
SELECT kind, count(*), min(seq) FROM (SELECT kind, seq FROM outbox ORDER BY seq LIMIT ?) GROUP BY kind
"""
_CURSORS = "SELECT t.thread, t.seq FROM json_each(?) asked JOIN threads t ON t.thread = asked.value"


@dataclass(frozen=True, slots=True)
class UnsentRows:
    """Outbox rows of one feed, and the stream sequence of the oldest."""

    rows: int
    oldest: int


async def unsent_by_feed(store: Reads, rows_max: int) -> Mapping[str, UnsentRows]:
    """The outbox rows of each feed that has any, among the `rows_max` oldest of all. A row that has left is dropped by
    the next commit, so it may be counted a moment longer.
    """
    rows = (await store.select(_UNSENT, (rows_max,))).rows
    return {cast(str, kind): UnsentRows(cast(int, count), cast(int, oldest)) for kind, count, oldest in rows}


async def cursors(store: Reads, threads: Sequence[str]) -> Mapping[str, int]:
    """The committed cursor of each of `threads`; 0 for one that has decided nothing."""
    rows = (await store.select(_CURSORS, (orjson.dumps(list(threads)).decode(),))).rows
    return {**dict.fromkeys(threads, 0), **{cast(str, thread): cast(int, cursor) for thread, cursor in rows}}
