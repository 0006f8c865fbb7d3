"""Sections as read: the contributions of a history, folded by each field's reducer (math.md section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import orjson

from relmachine.algebra.reducers import Folded, fold
from relmachine.machine.plan import Reducer
from relmachine.store.points import At, Point, pages, resolve
from relmachine.store.port import Reads
from relmachine.store.snapshots import Texts, Values, gather, parse_all, parse_snapshot
from relmachine.store.threads import settled

_FIELDS = "SELECT field, reducer FROM accord_fields"
_DIGEST = "SELECT section_digest FROM histories WHERE history_id = ?"
_SNAPSHOT = """
SELECT seq, section_data FROM section_snapshots WHERE thread = ? AND seq <= ? ORDER BY seq DESC LIMIT 1
"""
_ALL = """
SELECT seq, place, field, value FROM thread_contributions
WHERE thread = ? AND seq <= ? AND (seq, place, field) > (?, ?, ?) ORDER BY seq, place, field LIMIT 5000
"""
_SETTLED = """
SELECT te.seq, te.place, c.field, c.value
FROM thread_events te
JOIN events e ON e.event_id = te.event_id
JOIN steps s ON s.name = e.step
JOIN event_contributions c ON c.event = e.number
WHERE te.thread = ? AND te.seq <= ? AND s.kind = 'process'
  AND NOT EXISTS (SELECT 1 FROM event_claims a WHERE a.event = e.number AND a.touch = 'assert'
    AND a.claim NOT IN (SELECT value FROM json_each(?)))
  AND (te.seq, te.place, c.field) > (?, ?, ?)
ORDER BY te.seq, te.place, c.field LIMIT 5000
"""


@dataclass(frozen=True, slots=True)
class SectionView:
    """A section: the value of every field with a contribution. The digest covers all contributions, settled or not.

    `section_digest` is None for the empty history.
    """

    thread: str
    history: str
    sequence: int
    settled_only: bool
    fields: Mapping[str, Folded]
    section_digest: str | None


async def section(store: Reads, thread: str, at: At = None, *, settled_only: bool = False) -> SectionView:
    """The section of the thread's history at `at`, or only what its settled events contributed. Errors: `not_found`."""
    point = await resolve(store, thread, at)
    reducers = {cast(str, name): Reducer(cast(str, reducer)) for name, reducer in (await store.select(_FIELDS)).rows}
    values = await (_settled(store, point) if settled_only else _all(store, point))
    digests = (await store.select(_DIGEST, (point.history,))).rows
    return SectionView(
        thread,
        point.history,
        point.sequence,
        settled_only,
        {name: fold(reducers[name], some) for name, some in sorted(values.items())},
        cast(str, digests[0][0]) if digests else None,
    )


async def contributions_until(store: Reads, point: Point) -> Texts:
    """Every contribution up to `point`, from the events alone."""
    return await _gathered(store, _ALL, (point.thread, point.sequence), 0)


async def _all(store: Reads, point: Point) -> Values:
    """From the last snapshot before the point on: as short to read as the thread's growth since."""
    found = (await store.select(_SNAPSHOT, (point.thread, point.sequence))).rows
    start, values = 0, Values()
    for seq, data in cast(tuple[tuple[int, str], ...], found):
        start, values = seq, parse_snapshot(data)
    since = await _gathered(store, _ALL, (point.thread, point.sequence), start + 1)
    for name, later in parse_all(since).items():
        values[name] = [*values.get(name, []), *later]
    return values


async def _settled(store: Reads, point: Point) -> Values:
    claims = orjson.dumps(await settled(store, point.thread, point.sequence)).decode()
    return parse_all(await _gathered(store, _SETTLED, (point.thread, point.sequence, claims), 0))


async def _gathered(store: Reads, sql: str, parameters: tuple[object, ...], start: int) -> Texts:
    texts = Texts()
    async for page in pages(store, sql, parameters, (start, -1, "")):
        gather(texts, ((cast(str, name), cast(str, value)) for *_, name, value in page.rows))
    return texts
