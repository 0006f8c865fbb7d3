"""Obstructions as people and agents read them: both sides, why neither comes first, and how it was resolved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import orjson

from relmachine.errors import Code, RelmError
from relmachine.store.port import Reads

_COLUMNS = """
SELECT o.obstruction_id, o.thread, o.other, o.seq, o.disagreement, o.field, o.witness, o.left_side, o.right_side,
  r.seq, r.keep, r.reason, r.principal
FROM obstructions o LEFT JOIN resolutions r ON r.obstruction_id = o.obstruction_id
"""
# ?1 a thread or null for all, ?2 whether resolved ones count, ?3 how many.
_LIST = f"""{_COLUMNS}
WHERE (?1 IS NULL OR o.thread = ?1 OR o.other = ?1) AND (?2 OR r.seq IS NULL)
ORDER BY o.seq DESC, o.obstruction_id LIMIT ?3
"""
_ONE = f"{_COLUMNS} WHERE o.obstruction_id = ?"
_EVENT = """
SELECT te.event_id, e.step, te.seq, e.step_key, te.evidence ->> '$.principal'
FROM thread_events te JOIN events e ON e.event_id = te.event_id
WHERE te.thread = ? AND te.event_id IN (SELECT value FROM json_each(?)) ORDER BY te.seq, te.place
"""


@dataclass(frozen=True, slots=True)
class SideEvent:
    """An event of a side, where it came in that side's thread and by whom."""

    event: str
    step: str
    sequence: int
    step_key: str
    principal: str


@dataclass(frozen=True, slots=True)
class SideView:
    """What one thread has. `value` is the canonical JSON of what it wrote where a field differs, else empty."""

    thread: str
    value: str
    events: tuple[SideEvent, ...]


@dataclass(frozen=True, slots=True)
class Resolution:
    """The side of thread `keep` stays."""

    sequence: int
    keep: str
    reason: str
    principal: str


@dataclass(frozen=True, slots=True)
class ObstructionLine:
    """What keeps `other` from being merged into `thread`. `resolution` is None while it is open."""

    obstruction: str
    thread: str
    other: str
    sequence: int
    disagreement: str
    field: str
    witness: tuple[object, ...]
    resolution: Resolution | None


@dataclass(frozen=True, slots=True)
class ObstructionView:
    """An obstruction with its two sides."""

    line: ObstructionLine
    sides: tuple[SideView, SideView]


async def obstructions(
    store: Reads, thread: str | None = None, *, resolved: bool = True, limit: int = 1000
) -> list[ObstructionLine]:
    """The `limit` obstructions met last, of `thread` or of all; without the resolved ones when `resolved` is False."""
    return [_line(row) for row in (await store.select(_LIST, (thread, int(resolved), limit))).rows]


async def obstruction(store: Reads, identity: str) -> ObstructionView:
    """One obstruction by its id. Errors: `not_found`."""
    rows = (await store.select(_ONE, (identity,))).rows
    for row in rows:
        line, left, right = _line(row), cast(str, row[7]), cast(str, row[8])
        return ObstructionView(line, (await _side(store, line.thread, left), await _side(store, line.other, right)))
    sentence = "no such obstruction: `relm obstructions list` shows all"
    raise RelmError(Code.NOT_FOUND, sentence, obstruction=identity)


async def _side(store: Reads, thread: str, text: str) -> SideView:
    side = cast("Mapping[str, object]", orjson.loads(text))
    events = orjson.dumps(side["events"]).decode()
    found = (await store.select(_EVENT, (thread, events))).rows
    return SideView(thread, cast(str, side["value"]), tuple(SideEvent(*row) for row in found))  # pyright: ignore[reportArgumentType]


def _line(row: tuple[object, ...]) -> ObstructionLine:
    identity, thread, other, seq, disagreement, field, witness = cast("tuple[str, ...]", row[:7])
    resolved, keep, reason, principal = cast("tuple[int | None, str, str, str]", row[9:])
    return ObstructionLine(
        identity,
        thread,
        other,
        cast(int, seq),
        disagreement,
        field,
        tuple(orjson.loads(witness)),
        None if resolved is None else Resolution(resolved, keep, reason, principal),
    )
