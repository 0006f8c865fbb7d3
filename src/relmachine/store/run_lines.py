"""Runs of a thread as people read them: each attempt with the passes that it made and what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from relmachine.store.port import Reads

_ATTEMPTS = """
SELECT r.seq, r.step, a.attempt, a.at_seq, a.reason, a.said ->> '$.usage.model_calls', a.said ->> '$.usage.tool_calls',
  a.said ->> '$.usage.tokens', json_array_length(a.said, '$.follow_ups')
FROM run_answers a JOIN runs r ON r.thread = a.thread AND r.seq = a.seq
WHERE a.thread = ? ORDER BY a.at_seq
"""
_PASSES = """
SELECT seq, attempt, number, decision, tool, output, error FROM iterations
WHERE thread = ? ORDER BY seq, attempt, number
"""


@dataclass(frozen=True, slots=True)
class PassLine:
    """One pass: `decision` is `answer`, `call`, `retry` or `fail`; `tool` names the tools called."""

    number: int
    decision: str
    tool: str
    output: str
    error: str


@dataclass(frozen=True, slots=True)
class RunLine:
    """One attempt of a run that was answered: the sequences of its request and of its answer, and why it ended.

    `follow_ups` counts the steps that it proposed.
    """

    request: int
    step: str
    attempt: int
    answered: int
    reason: str
    model_calls: int
    tool_calls: int
    tokens: int
    follow_ups: int
    passes: tuple[PassLine, ...]


async def run_lines(store: Reads, thread: str) -> list[RunLine]:
    """The answered attempts of a thread's runs, in the order of their answers."""
    passes: dict[tuple[int, int], list[PassLine]] = {}
    for row in (await store.select(_PASSES, (thread,))).rows:
        request, attempt, *rest = cast("tuple[int, int, int, str, str, str, str]", row)
        passes.setdefault((request, attempt), []).append(PassLine(*rest))  # pyright: ignore[reportArgumentType]
    found: list[RunLine] = []
    for row in (await store.select(_ATTEMPTS, (thread,))).rows:
        values = cast("tuple[int, str, int, int, str, int, int, int, int]", row)
        found.append(RunLine(*values, tuple(passes.get((values[0], values[2]), ()))))
    return found
