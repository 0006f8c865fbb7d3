"""The permit log's steps on few, long threads, so that nodes keep them in memory and meet on them again and again."""

from __future__ import annotations

import json
from collections.abc import Iterator

from relmachine.ingest.cases import LogStep
from tests.cluster.whole import log


def bursts(threads: int) -> Iterator[list[LogStep]]:
    """One step for each of the threads at a time, until the log is used up. Some are refused: they come from many
    cases."""
    steps = iter(log())
    while (
        len(burst := [_on(f"long-{number}", step) for number, step in zip(range(threads), steps, strict=False)])
        == threads
    ):
        yield burst


def _on(thread: str, step: LogStep) -> LogStep:
    body = {**json.loads(step.body), "subject": thread}
    return LogStep(thread, step.step_token, json.dumps(body).encode())
