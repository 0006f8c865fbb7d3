"""What forks and merges ask of a store: events of a thread's past, and what was decided about obstructions.

The same questions decide a record in its turn, at the strongest read level, and are asked again by verification.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import cast

import orjson

from relmachine.kernel.control_rows import ObstructionRow
from relmachine.kernel.glue import Difference, without
from relmachine.kernel.joining import PastEvent

Ask = Callable[[str, Sequence[object]], Awaitable[Sequence[tuple[object, ...]]]]
"""Rows of a question: `Store.deciding`, or `Reads.select` of a store at rest."""

# Events of thread ?1 up to sequence ?2 that thread ?3 has not up to sequence ?4; all when ?3 is empty.
_EVENTS = """
SELECT te.event_id, e.step, e.step_key, e.payload_digest, e.parents, te.evidence,
  (SELECT json_group_array(json_array(c.field, c.value)) FROM event_contributions c WHERE c.event = e.number)
FROM thread_events te JOIN events e ON e.event_id = te.event_id
WHERE te.thread = ?1 AND te.seq <= ?2
  AND te.event_id NOT IN (SELECT event_id FROM thread_events WHERE thread = ?3 AND seq <= ?4)
ORDER BY te.seq, te.place LIMIT ?5
"""
_HISTORY = """
SELECT history_id FROM thread_events WHERE thread = ? AND seq <= ? ORDER BY seq DESC, place DESC LIMIT 1
"""
# Sides that were dropped between two threads, up to a sequence. Whichever is merged into which; no third is bound.
_DROPPED = """
SELECT side.value FROM resolutions r
JOIN obstructions o ON o.obstruction_id = r.obstruction_id
JOIN json_each(CASE WHEN r.keep = o.thread THEN o.right_side ELSE o.left_side END, '$.events') side
WHERE ((o.thread = ?1 AND o.other = ?2) OR (o.thread = ?2 AND o.other = ?1)) AND r.seq <= ?3
"""
_OBSTRUCTION = """
SELECT o.obstruction_id, o.thread, o.other, o.seq, o.disagreement, o.field, o.witness, o.left_side, o.right_side,
  (SELECT r.seq FROM resolutions r WHERE r.obstruction_id = o.obstruction_id AND r.seq <= ?2)
FROM obstructions o WHERE o.obstruction_id = ?1 AND o.seq <= ?2
"""
_REJECTION = "SELECT gate, code, sentence, witness FROM rejections WHERE thread = ? AND seq = ?"
_CONTROL = "SELECT record, payload FROM controls WHERE thread = ? AND seq = ?"
_BEGAN = "SELECT 1 FROM controls WHERE thread = ? AND seq < ? AND record = '_fork'"
_KEYS = "SELECT step_key FROM receipts WHERE thread = ?1 AND seq < ?2 AND step_key IN (SELECT value FROM json_each(?3))"


@dataclass(frozen=True, slots=True)
class Standing:
    """An obstruction as a record meets it: `resolved_at` is the sequence of its resolution, None while it is open."""

    row: ObstructionRow
    resolved_at: int | None


class Joined:
    """Questions about the past of threads, up to stream sequences that all concerned have decided."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def events(
        self, thread: str, until: int, limit: int, *, but: str = "", but_until: int = 0
    ) -> list[PastEvent]:
        """The events of `thread` up to sequence `until`, in its order, at most `limit`.

        With `but`, only those that this other thread has not up to its sequence `but_until`.
        """
        rows = await self._ask(_EVENTS, (thread, until, but, but_until, limit))
        return [_event(row) for row in rows]

    async def history(self, thread: str, until: int) -> str | None:
        """The history of `thread` after all up to sequence `until`; None for the empty one."""
        rows = await self._ask(_HISTORY, (thread, until))
        return cast(str, rows[0][0]) if rows else None

    async def difference(self, target: str, source: str, sequence: int, limit: int) -> Difference | None:
        """What the threads have for themselves below stream sequence `sequence`, without what resolutions leave out.

        None when either has more than `limit` events for itself.
        """
        until, most = sequence - 1, limit + 1
        ours = await self.events(target, until, most, but=source, but_until=until)
        theirs = await self.events(source, until, most, but=target, but_until=until)
        if max(len(ours), len(theirs)) > limit:
            return None
        dropped = await self._ask(_DROPPED, (target, source, until))
        kept = without(theirs, {cast(str, row[0]) for row in dropped})
        return Difference(target, source, ours, kept, len(theirs) - len(kept))

    async def known(self, thread: str, sequence: int, events: Sequence[PastEvent]) -> set[str]:
        """The step keys of `events` that have a receipt in `thread` from before `sequence`."""
        keys = orjson.dumps([event.step_key for event in events]).decode()
        return {cast(str, row[0]) for row in await self._ask(_KEYS, (thread, sequence, keys))}

    async def obstruction(self, identity: str, until: int) -> Standing | None:
        """The obstruction of this id, as far as it was known at stream sequence `until`."""
        for row in await self._ask(_OBSTRUCTION, (identity, until)):
            *columns, resolved_at = row
            return Standing(ObstructionRow(*columns), cast("int | None", resolved_at))  # pyright: ignore[reportArgumentType]
        return None

    async def began_as_fork(self, thread: str, sequence: int) -> bool:
        """Whether `thread` began as a fork, before `sequence`; then its genesis is not its own."""
        return bool(await self._ask(_BEGAN, (thread, sequence)))

    async def rejection(self, thread: str, sequence: int) -> tuple[str, str, str, str] | None:
        """Gate, code, sentence and witness (JSON text) of what `thread` refused at `sequence`; None when it did not."""
        for row in await self._ask(_REJECTION, (thread, sequence)):
            return cast("tuple[str, str, str, str]", tuple(row))
        return None

    async def control(self, thread: str, sequence: int) -> tuple[str, str] | None:
        """Token and payload (JSON text) of the record that took effect there; None when none did."""
        for row in await self._ask(_CONTROL, (thread, sequence)):
            return cast("tuple[str, str]", tuple(row))
        return None


def _event(row: tuple[object, ...]) -> PastEvent:
    event, step, key, payload_digest, parents, evidence, contributions = cast("tuple[str, ...]", row)
    written = cast("list[tuple[str, str]]", orjson.loads(contributions))
    return PastEvent(
        event,
        step,
        key,
        payload_digest,
        tuple(cast("list[str]", orjson.loads(parents))),
        evidence,
        tuple(sorted((name, value) for name, value in written)),
    )
