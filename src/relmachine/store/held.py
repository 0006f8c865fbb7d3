"""What turns, nodes and people ask of a store about steps that are held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import orjson

from relmachine.kernel.candidate import Candidate
from relmachine.kernel.held import HeldStep
from relmachine.store.points import pages
from relmachine.store.port import Reads
from relmachine.store.runs import Ask

_COLUMNS = "h.thread, h.seq, h.step, h.step_key, h.payload, h.payload_digest, h.evidence, e.at_seq"
# A merge brings steps of another thread, of which one may have the key of a step that is held here.
_STANDING = f"""
SELECT {_COLUMNS}, EXISTS (
  SELECT 1 FROM controls k JOIN thread_events te ON te.thread = k.thread AND te.seq = k.seq
  JOIN events v ON v.event_id = te.event_id
  WHERE k.thread = h.thread AND k.record = '_merge' AND k.seq > h.seq AND k.seq < asked.value ->> 2
    AND v.step_key = h.step_key)
FROM json_each(?) asked JOIN held h ON h.thread = asked.value ->> 0 AND h.seq = asked.value ->> 1
LEFT JOIN held_ends e ON e.thread = h.thread AND e.seq = h.seq AND e.at_seq < asked.value ->> 2
"""
# Which steps of a thread wait is in its state; an index finds the threads that have any.
_NOW = """FROM threads t JOIN json_each(t.state, '$.waiting') w
JOIN held h ON h.thread = t.thread AND h.seq = CAST(w.key AS INTEGER)
WHERE instr(t.state, '"waiting":{') > 0"""
_OPEN = f"""
SELECT h.thread, h.seq, h.step, EXISTS (SELECT 1 FROM thread_stops s WHERE s.thread = h.thread)
  OR EXISTS (SELECT 1 FROM controls k WHERE k.thread = h.thread AND k.record = '_close')
{_NOW} ORDER BY h.thread, h.seq LIMIT ?
"""
_LINES = f"""
SELECT h.thread, h.seq, h.step, h.step_key, h.missing {_NOW}
  AND (?1 IS NULL OR h.thread = ?1) AND (h.thread, h.seq) > (?2, ?3) ORDER BY h.thread, h.seq LIMIT 1000
"""
WATCHED_MAX = 10_000
"""Held steps whose time a node watches at once; the others, in the order of their threads, come after these."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A step that is held now; `over` says that its thread has ended."""

    thread: str
    sequence: int
    step: str
    over: bool


@dataclass(frozen=True, slots=True)
class HeldLine:
    """A step that is held, for people: `missing` are the claims that were not effective when it came."""

    thread: str
    sequence: int
    step: str
    step_key: str
    missing: tuple[str, ...]


class HeldSteps:
    """Questions about held steps."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def standing(self, asked: Sequence[tuple[str, int, int]]) -> Mapping[tuple[str, int], HeldStep]:
        """The steps held at (thread, sequence), as far as there are any, as they stood before the third sequence."""
        rows = await self._ask(_STANDING, (orjson.dumps(asked).decode(),)) if asked else ()
        return {(step.candidate.thread, step.candidate.sequence): step for step in map(_step, rows)}

    async def waiting(self) -> list[Waiting]:
        """The steps that are held now, by thread and sequence; at most `WATCHED_MAX`."""
        rows = await self._ask(_OPEN, (WATCHED_MAX,))
        return [Waiting(cast(str, row[0]), cast(int, row[1]), cast(str, row[2]), bool(row[3])) for row in rows]


async def held_lines(store: Reads, thread: str | None = None) -> list[HeldLine]:
    """The steps of `thread`, or of all, that are held now."""
    found: list[HeldLine] = []
    async for page in pages(store, _LINES, (thread,), ("", 0)):
        for name, sequence, step, key, missing in page.rows:
            claims = tuple(cast("list[str]", orjson.loads(cast(str, missing))))
            found.append(HeldLine(cast(str, name), cast(int, sequence), cast(str, step), cast(str, key), claims))
    return found


def _step(row: tuple[object, ...]) -> HeldStep:
    thread, seq, step, key, payload, payload_digest, evidence, ended, came = row
    texts = cast("tuple[str, str, str, str]", (step, key, payload, payload_digest))
    candidate = Candidate(cast(int, seq), cast(str, thread), *texts).known(cast(str, evidence))
    return HeldStep(candidate, cast("int | None", ended), bool(came))
