"""Fibers as read back from their points."""

from __future__ import annotations

from typing import cast

import orjson

from relmachine.algebra.fibers import Fiber
from relmachine.errors import Code, RelmError
from relmachine.store.port import Reads

_OF_HISTORY = "SELECT fiber_id FROM histories WHERE history_id = ?"
_EMPTY_HISTORY = "SELECT 1 FROM commits WHERE from_seq = 0 AND from_head = ? LIMIT 1"
_POINTS = "SELECT point, up, saturation, transfer FROM fiber_points WHERE fiber_id = ? ORDER BY position"


async def fiber(store: Reads, history: str) -> Fiber:
    """The fiber of a history, by the history's id. Errors: `not_found`."""
    for (fiber_id,) in (await store.select(_OF_HISTORY, (history,))).rows:
        return await read_fiber(store, cast(str, fiber_id))
    if (await store.select(_EMPTY_HISTORY, (history,))).rows:
        return Fiber((), (), 0, 0)
    sentence = f"no history {history!r} in this store: the events of a thread name its histories"
    raise RelmError(Code.NOT_FOUND, sentence, history=history)


async def read_fiber(store: Reads, fiber_id: str) -> Fiber:
    """The fiber stored under `fiber_id`; whether that is its content's digest is for `verify` to say."""
    rows = cast(tuple[tuple[str, str, int, int], ...], (await store.select(_POINTS, (fiber_id,))).rows)
    position = {row[0]: index for index, row in enumerate(rows)}
    return Fiber(
        points=tuple(position),
        up=tuple(sum(1 << position[name] for name in orjson.loads(up)) for _, up, _, _ in rows),
        saturation=sum(stable << index for index, (_, _, stable, _) in enumerate(rows)),
        transfer=sum(stable << index for index, (_, _, _, stable) in enumerate(rows)),
    )
