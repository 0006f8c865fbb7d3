"""What turns and runners ask of a store about runs: where they stand, what they have seen, what was spent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import cast

import orjson

from relmachine.kernel.answer import Decision
from relmachine.kernel.candidate import Candidate
from relmachine.kernel.detached import OpenRun
from relmachine.store.port import Draft

Ask = Callable[[str, Sequence[object]], Awaitable[Sequence[tuple[object, ...]]]]
"""Rows of a question: `Store.deciding`, or `Reads.select` of a store at rest."""

# A merge brings steps of another thread, of which one may have the key of a step that runs here.
_CAME = """EXISTS (
  SELECT 1 FROM controls k JOIN thread_events te ON te.thread = k.thread AND te.seq = k.seq
  JOIN events v ON v.event_id = te.event_id
  WHERE k.thread = r.thread AND k.record = '_merge' AND k.seq > r.seq AND v.step_key = r.step_key{until})"""
_RUN = f"""
SELECT r.thread, r.seq, r.step, r.step_key, r.payload, r.payload_digest, r.frozen_digest, r.evidence,
  a.attempt, a.view, e.at_seq,
  EXISTS (SELECT 1 FROM thread_fences f WHERE f.thread = r.thread AND coalesce(f.request, r.seq) = r.seq),
  {_CAME.format(until="")}
FROM {{runs}} JOIN run_attempts a ON a.thread = r.thread AND a.seq = r.seq
LEFT JOIN run_ends e ON e.thread = r.thread AND e.seq = r.seq
WHERE a.attempt = (SELECT max(attempt) FROM run_attempts l WHERE l.thread = r.thread AND l.seq = r.seq)
"""
_ASKED = _RUN.format(
    runs="json_each(?) asked JOIN runs r ON r.thread = asked.value ->> 0 AND r.seq = asked.value ->> 1"
)
_OPEN = f"""{_RUN.format(runs="runs_open o JOIN runs r ON r.thread = o.thread AND r.seq = o.seq")}
  AND (o.thread, o.seq) > (?, ?) ORDER BY o.thread, o.seq LIMIT ?
"""
_AWAKE = """
SELECT o.thread, o.seq FROM runs_open o JOIN threads t ON t.thread = o.thread
WHERE NOT t.fenced AND (o.thread, o.seq) > (?, ?) ORDER BY o.thread, o.seq LIMIT ?
"""
_BEGUN = f"{_RUN.format(runs='runs r')} AND r.thread = ? AND a.at_seq = ?"
_COUNT = """
SELECT o.thread, count(*) FROM json_each(?) asked JOIN runs_open o ON o.thread = asked.value GROUP BY o.thread
"""
_CAME_BEFORE = f"SELECT {_CAME.format(until=' AND k.seq < ?3')} FROM runs r WHERE r.thread = ?1 AND r.seq = ?2"
_FROZEN = "SELECT content FROM frozen_plans WHERE frozen_digest = ?"
_DRAFTS = "SELECT decision FROM run_drafts WHERE thread = ? AND seq = ? AND attempt = ? ORDER BY place"
_DRAFT = "SELECT decision FROM run_drafts WHERE thread = ? AND seq = ? AND attempt = ? AND place = ?"


@dataclass(frozen=True, slots=True)
class Run:
    """A run: as it was opened, with its last attempt; `ended_at` is the sequence of the answer that ended it, `came`
    says that a merge brought a step of its key.
    """

    open: OpenRun
    ended_at: int | None
    came: bool = False


class Runs:
    """Questions about runs."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def standing(self, asked: Sequence[tuple[str, int]]) -> dict[tuple[str, int], Run]:
        """The runs of (thread, sequence of the request), as far as there are any."""
        rows = await self._ask(_ASKED, (orjson.dumps(asked).decode(),)) if asked else ()
        return {(run.open.candidate.thread, run.open.candidate.sequence): run for run in map(_run, rows)}

    async def is_open(self, run: OpenRun) -> bool:
        """Whether the run has not ended, and is still at that attempt."""
        place = run.candidate.thread, run.candidate.sequence
        now = (await self.standing([place])).get(place)
        return now is not None and (now.ended_at, now.open.attempt) == (None, run.attempt)

    async def open(self, limit: int, after: tuple[str, int] = ("", 0)) -> list[OpenRun]:
        """Runs that have not ended, by thread and sequence, those after `after`."""
        return [_run(row).open for row in await self._ask(_OPEN, (*after, limit))]

    async def awake(self, limit: int, after: tuple[str, int] = ("", 0)) -> list[tuple[str, int]]:
        """Thread and sequence of runs that have not ended, in that order, those after `after`; but for those of paused
        threads.
        """
        return list(cast("Sequence[tuple[str, int]]", await self._ask(_AWAKE, (*after, limit))))

    async def begun_at(self, thread: str, sequence: int) -> list[OpenRun]:
        """The run of which an attempt began at this message of the thread, as it stands now; none when none did."""
        rows = await self._ask(_BEGUN, (thread, sequence))
        return [_run(row).open for row in rows]

    async def came(self, thread: str, request: int, before: int) -> bool:
        """Whether a merge before that sequence brought a step of the run's key."""
        ((came,),) = await self._ask(_CAME_BEFORE, (thread, request, before))
        return bool(came)

    async def open_count(self, threads: Sequence[str]) -> dict[str, int]:
        """How many runs of each thread have not ended; threads without any are left out."""
        rows = await self._ask(_COUNT, (orjson.dumps(threads).decode(),)) if threads else ()
        return {cast(str, thread): cast(int, count) for thread, count in rows}

    async def frozen(self, digest: str) -> str:
        """The text of a frozen plan, which a run names."""
        ((text,),) = await self._ask(_FROZEN, (digest,))
        return cast(str, text)

    async def drafts(self, run: OpenRun) -> list[Decision]:
        """What the attempt has seen in an earlier life, in order."""
        rows = await self._ask(_DRAFTS, (run.candidate.thread, run.candidate.sequence, run.attempt))
        return [Decision.model_validate_json(cast(str, text)) for (text,) in rows]

    async def is_kept(self, draft: Draft) -> bool:
        """Whether this very draft is: another carrier of the attempt may have kept its own in that place."""
        place = (draft.thread, draft.sequence, draft.attempt, draft.place)
        return [row[0] for row in await self._ask(_DRAFT, place)] == [draft.decision]


def _run(row: tuple[object, ...]) -> Run:
    thread, seq, step, key, payload, payload_digest, frozen, evidence, attempt, view, ended, told, came = row
    texts = cast("tuple[str, str, str, str]", (step, key, payload, payload_digest))
    candidate = Candidate(cast(int, seq), cast(str, thread), *texts).known(cast(str, evidence))
    open_run = OpenRun(candidate, cast(int, attempt), cast(str, view), cast(str, frozen), bool(told))
    return Run(open_run, cast("int | None", ended), bool(came))
