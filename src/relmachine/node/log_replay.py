"""A whole log through a running node: publish every step, wait until the last is decided, read the figures by SQL."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from relmachine.errors import Code, RelmError
from relmachine.ingest.steps import Log, LogStep, outgoing
from relmachine.machine import Machine
from relmachine.node.cpu import cpu_seconds
from relmachine.store import reading
from relmachine.store.reading import Reads
from relmachine.stream.port import Outgoing, Publisher
from relmachine.stream.publisher import message_id

STEPS_PER_PUBLISH = 2000
"""Steps handed to the publisher together."""

POLL_SECONDS = 0.05
"""How often the cursors are read while waiting."""

STALL_SECONDS_MAX = 120.0
"""How long no cursor may move before the wait is given up."""

Progress = Callable[[int, int], None]
"""Called with (steps published, steps decided)."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a log goes: the stream to publish to, the store to read, the processes whose CPU counts."""

    publisher: Publisher
    store: Reads
    pids: Sequence[int]


@dataclass(frozen=True, slots=True)
class Replayed:
    """Figures over the store after a replay (`docs/cli.md`), and what this replay cost and found."""

    figures: Mapping[str, object]
    steps_per_s: float
    cpu_s_per_1k: float | None
    new_committed: int
    new_rejected: int

    def as_json(self) -> dict[str, object]:
        """The object that `relm replay --json` prints."""
        return {
            **self.figures,
            "steps_per_s": round(self.steps_per_s, 1),
            "cpu_s_per_1k": None if self.cpu_s_per_1k is None else round(self.cpu_s_per_1k, 4),
            "new_committed": self.new_committed,
            "new_rejected": self.new_rejected,
        }


async def replay_log(target: Target, machine: Machine, log: Log, progress: Progress | None = None) -> Replayed:
    """Publish every step of the surveyed `log` and wait until all are decided.

    Errors: `log_invalid` when the file changed since; `unreachable` when nothing moves for `STALL_SECONDS_MAX`.
    """
    before = await reading.totals(target.store)
    started, cpu_before = time.perf_counter(), cpu_seconds(target.pids)
    last, count = await _publish(target.publisher, outgoing(machine, log), progress)
    await _decided(target.store, last, count, progress)
    elapsed, cpu_after = time.perf_counter() - started, cpu_seconds(target.pids)
    after = await reading.totals(target.store)
    cost = None if cpu_before is None or cpu_after is None else (cpu_after - cpu_before) / max(1, count) * 1000
    return Replayed(
        figures=await reading.figures(target.store),
        steps_per_s=count / elapsed,
        cpu_s_per_1k=cost,
        new_committed=after.committed - before.committed,
        new_rejected=after.rejected - before.rejected,
    )


async def _publish(
    publisher: Publisher, steps: Iterable[LogStep], progress: Progress | None
) -> tuple[dict[str, int], int]:
    """Last stream sequence of each thread, and how many steps there were."""
    last: dict[str, int] = {}
    count, remaining = 0, iter(steps)
    while batch := await asyncio.to_thread(lambda: list(islice(remaining, STEPS_PER_PUBLISH))):
        messages = [
            Outgoing(step.thread, step.step_token, step.body, message_id(step.thread, step.body)) for step in batch
        ]
        for step, published in zip(batch, await publisher.publish(messages), strict=True):
            last[step.thread] = max(last.get(step.thread, 0), published.sequence)
        count += len(batch)
        if progress is not None:
            progress(count, 0)
    return last, count


async def _decided(store: Reads, last: Mapping[str, int], count: int, progress: Progress | None) -> None:
    """Wait until every thread's cursor has reached its last published sequence."""
    moved, before = time.monotonic(), None
    while True:
        behind = await reading.threads_behind(store, last)
        if progress is not None:
            progress(count, count * (len(last) - behind) // max(1, len(last)))
        if behind == 0:
            return
        now = (behind, await reading.totals(store))
        if now != before:
            moved, before = time.monotonic(), now
        if time.monotonic() - moved > STALL_SECONDS_MAX:
            raise RelmError(
                Code.UNREACHABLE,
                f"no step was decided for {STALL_SECONDS_MAX:.0f} s: see the node's log, then repeat the replay; steps "
                "that were decided are recognised",
                threads_behind=behind,
            )
        await asyncio.sleep(POLL_SECONDS)
