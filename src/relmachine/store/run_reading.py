"""Runs as people and agents read them: which there are, what each was asked, saw and spent, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, cast

import orjson

from relmachine.errors import Code, RelmError
from relmachine.kernel.answer import Decision, Failure, FollowUp, Pass
from relmachine.kernel.lifecycle import COMMITTED
from relmachine.store.answers import answer_at
from relmachine.store.points import page_rows, pages, resolve
from relmachine.store.port import Reads

State = Literal["open", "committed", "aborted"]

_COLUMNS = """
SELECT r.seq, r.step, r.step_key, f.content ->> '$.model', f.content ->> '$.fallback',
  (SELECT max(attempt) FROM run_attempts a WHERE a.thread = r.thread AND a.seq = r.seq), e.at_seq, e.lifecycle,
  (SELECT n.reason FROM run_answers n WHERE n.thread = r.thread AND n.seq = r.seq ORDER BY n.attempt DESC LIMIT 1),
  coalesce(e.outcome ->> '$.code', ''),
  (SELECT count(*) FROM iterations i WHERE i.thread = r.thread AND i.seq = r.seq),
  {spent}
FROM runs r JOIN frozen_plans f ON f.frozen_digest = r.frozen_digest
LEFT JOIN run_ends e ON e.thread = r.thread AND e.seq = r.seq WHERE r.thread = ?
"""
_SPENT = ("model_calls", "tool_calls", "tokens", "cost", "seconds", "solver_seconds")
_SELECT = _COLUMNS.format(
    spent=", ".join(
        f"(SELECT coalesce(sum(n.said ->> '$.usage.{name}'), 0) FROM run_answers n"
        " WHERE n.thread = r.thread AND n.seq = r.seq)"
        for name in _SPENT
    )
)
_LIST = f"{_SELECT} AND r.seq > ?3 ORDER BY r.seq LIMIT ?2"
_ONE = f"{_SELECT} AND r.seq = ?2"
_ASKED = """
SELECT r.payload, r.evidence, f.content FROM runs r JOIN frozen_plans f ON f.frozen_digest = r.frozen_digest
WHERE r.thread = ? AND r.seq = ?
"""
_ATTEMPTS = """
SELECT a.attempt, a.at_seq, n.at_seq FROM run_attempts a
LEFT JOIN run_answers n ON n.thread = a.thread AND n.seq = a.seq AND n.attempt = a.attempt
WHERE a.thread = ? AND a.seq = ? ORDER BY a.attempt
"""
_OUTCOME = "SELECT outcome FROM run_ends WHERE thread = ? AND seq = ?"
_OPEN = """
SELECT count(*) FROM runs_open WHERE thread = ?
"""


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run in a list: `request` is the stream sequence of its step, `answered` that of the answer which ended it.

    `reason` is that of the last answer, empty while there is none; `code` why there is no event. `passes`, calls,
    `tokens`, `cost` (US dollars) and `seconds` are those of all attempts that were answered. `model` and `fallback` are
    bindings, empty where there is none.
    """

    request: int
    step: str
    step_key: str
    model: str
    fallback: str
    attempts: int
    answered: int | None
    state: State
    reason: str
    code: str
    passes: int
    model_calls: int
    tool_calls: int
    tokens: int
    cost: float
    seconds: float
    solver_seconds: float


@dataclass(frozen=True, slots=True)
class AttemptView:
    """An attempt: it began at the message `began` of its thread; the rest is what its answer says, if there is one."""

    attempt: int
    began: int
    answered: int | None
    reason: str = ""
    contributions: Mapping[str, str] = field(default_factory=dict[str, str])
    follow_ups: tuple[FollowUp, ...] = ()
    failure: Failure | None = None
    passes: tuple[Pass, ...] = ()
    decisions: tuple[Decision, ...] = ()


@dataclass(frozen=True, slots=True)
class RunView:
    """A whole run: `plan` is the frozen plan it was opened with, `outcome` what became of its step, None while open."""

    line: RunLine
    payload: dict[str, object]
    evidence: dict[str, str | int]
    plan: dict[str, object]
    attempts: tuple[AttemptView, ...]
    outcome: dict[str, object] | None


async def runs(store: Reads, thread: str, after: int = 0, limit: int | None = None) -> list[RunLine]:
    """The thread's runs by request, those after `after`: all of them, or the first `limit`. Errors: `not_found`."""
    await resolve(store, thread)
    found: list[RunLine] = []
    async for page in pages(store, _LIST, (thread, page_rows(limit)), (after,)):
        found += [_line(row) for row in page.rows]
        if limit is not None and len(found) >= limit:
            return found[:limit]
    return found


async def run(store: Reads, thread: str, request: int) -> RunView:
    """The run of the step that was published at `request`. Errors: `not_found`."""
    await resolve(store, thread)
    rows = (await store.select(_ONE, (thread, request))).rows
    if not rows:
        sentence = f"thread {thread!r} has no run at sequence {request}: `relm thread runs` shows those there are"
        raise RelmError(Code.NOT_FOUND, sentence, thread=thread, request=request)
    ((payload, evidence, plan),) = cast(
        "list[tuple[str, str, str]]", (await store.select(_ASKED, (thread, request))).rows
    )
    attempts = cast("list[tuple[int, int, int | None]]", (await store.select(_ATTEMPTS, (thread, request))).rows)
    ended = (await store.select(_OUTCOME, (thread, request))).rows
    return RunView(
        _line(rows[0]),
        orjson.loads(payload),
        orjson.loads(evidence),
        orjson.loads(plan),
        tuple([await _attempt(store, thread, *row) for row in attempts]),
        orjson.loads(cast(str, ended[0][0])) if ended else None,
    )


async def open_runs(store: Reads, thread: str) -> int:
    """How many runs of the thread have not ended."""
    ((count,),) = (await store.select(_OPEN, (thread,))).rows
    return cast(int, count)


async def _attempt(store: Reads, thread: str, attempt: int, began: int, answered: int | None) -> AttemptView:
    said = None if answered is None else await answer_at(store, thread, answered)
    if said is None:
        return AttemptView(attempt, began, None)
    found = (said.contributions, said.follow_ups, said.failure, said.passes, said.decisions)
    return AttemptView(attempt, began, answered, said.reason, *found)


def _line(row: tuple[object, ...]) -> RunLine:
    request, step, key, model, fallback, attempts, answered, lifecycle, reason, code, *spent = row
    state: State = "open" if lifecycle is None else "committed" if lifecycle == COMMITTED else "aborted"
    return RunLine(request, step, key, model, fallback, attempts, answered, state, reason or "", code, *spent)  # pyright: ignore[reportArgumentType]
