"""What turns and runners ask of a store about runs: where they stand, what they have seen, what was spent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import cast

import orjson

from relmachine.kernel.answer import Decision
from relmachine.kernel.detached import OpenRun
from relmachine.kernel.envelope import Candidate

Ask = Callable[[str, Sequence[object]], Awaitable[Sequence[tuple[object, ...]]]]
"""Rows of a question: `Store.deciding`, or `Reads.select` of a store at rest."""

_RUN = """
SELECT r.thread, r.seq, r.step, r.step_key, r.payload, r.payload_digest, r.frozen_digest, r.evidence,
  a.attempt, a.view, e.at_seq
FROM {runs} JOIN run_attempts a ON a.thread = r.thread AND a.seq = r.seq
LEFT JOIN run_ends e ON e.thread = r.thread AND e.seq = r.seq
WHERE a.attempt = (SELECT max(attempt) FROM run_attempts l WHERE l.thread = r.thread AND l.seq = r.seq)
"""
_ASKED = _RUN.format(
    runs="json_each(?) asked JOIN runs r ON r.thread = asked.value ->> 0 AND r.seq = asked.value ->> 1"
)
_OPEN = f"""{_RUN.format(runs="runs r")}
  AND e.at_seq IS NULL AND (r.thread, r.seq) > (?, ?) ORDER BY r.thread, r.seq LIMIT ?
"""
_BEGUN = f"{_RUN.format(runs='runs r')} AND r.thread = ? AND a.at_seq = ?"
_COUNT = """
SELECT r.thread, count(*) FROM json_each(?) asked JOIN runs r ON r.thread = asked.value
WHERE NOT EXISTS (SELECT 1 FROM run_ends e WHERE e.thread = r.thread AND e.seq = r.seq) GROUP BY r.thread
"""
_FROZEN = "SELECT content FROM frozen_plans WHERE frozen_digest = ?"
_DRAFTS = "SELECT decision FROM run_drafts WHERE thread = ? AND seq = ? AND attempt = ? ORDER BY place"


@dataclass(frozen=True, slots=True)
class Run:
    """A run: as it was opened, with its last attempt; `ended_at` is the sequence of the answer that ended it."""

    open: OpenRun
    ended_at: int | None


class Runs:
    """Questions about runs."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def standing(self, asked: Sequence[tuple[str, int]]) -> dict[tuple[str, int], Run]:
        """The runs of (thread, sequence of the request), as far as there are any."""
        rows = await self._ask(_ASKED, (orjson.dumps(asked).decode(),)) if asked else ()
        return {(run.open.candidate.thread, run.open.candidate.sequence): run for run in map(_run, rows)}

    async def open(self, limit: int, after: tuple[str, int] = ("", 0)) -> list[OpenRun]:
        """Runs that have not ended, by thread and sequence, those after `after`."""
        return [_run(row).open for row in await self._ask(_OPEN, (*after, limit))]

    async def begun_at(self, thread: str, sequence: int) -> list[OpenRun]:
        """The run of which an attempt began at this message of the thread, as it stands now; none when none did."""
        rows = await self._ask(_BEGUN, (thread, sequence))
        return [_run(row).open for row in rows]

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


def _run(row: tuple[object, ...]) -> Run:
    thread, seq, step, key, payload, payload_digest, frozen, evidence, attempt, view, ended = row
    texts = cast("tuple[str, str, str, str]", (step, key, payload, payload_digest))
    candidate = Candidate(cast(int, seq), cast(str, thread), *texts).known(cast(str, evidence))
    open_run = OpenRun(candidate, cast(int, attempt), cast(str, view), cast(str, frozen))
    return Run(open_run, cast("int | None", ended))
