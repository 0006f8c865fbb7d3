"""Publishing workload W: as fast as the stream takes it, or at a steady rate with the time to each outcome.

Also a process of its own, so that its CPU can be told from what it loads: `python -m bench.publishing THREADS
PER_THREAD SEED [PER_SECOND]`. It reads the address of the stream from its first line of input, prints "ready", begins
at the next line, prints the seconds it took, or the seconds that each step waited, as JSON, and ends with its input.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

import nats

from bench.workload import Work, workload

WINDOW = 500
OUTCOME_SECONDS_MAX = 60.0
STEP_SUBJECT = "relm.w.step.{thread}.{step}"


async def flood(stream: Any, subject: str, work: Sequence[Work]) -> None:
    """Publish `work` in order, a window at a time. `stream` is a JetStream context with room for two windows."""
    for start in range(0, len(work), WINDOW):
        for item in work[start : start + WINDOW]:
            await stream.publish_async(subject.format(thread=item.thread, step=item.step), item.body)
        await stream.publish_async_completed()


async def steady(client: Any, work: Sequence[Work], per_second: float) -> list[float]:
    """Publish at a steady rate; the seconds from publishing to the outcome on the journal, of every step."""
    published: dict[str, float] = {}
    taken: list[float] = []
    finished = asyncio.Event()

    async def outcome(message: Any) -> None:
        now = time.perf_counter()
        keys = [item["key"] for item in json.loads(message.data)["outcomes"]]
        taken.extend(now - published[key] for key in keys)
        if len(taken) == len(work):
            finished.set()

    stream = client.jetstream()
    await client.subscribe("relm.w.journal.*", cb=outcome)
    await client.flush()
    started = time.perf_counter()
    for index, item in enumerate(work):
        await asyncio.sleep(max(0.0, started + index / per_second - time.perf_counter()))
        body = json.loads(item.body)
        published[json.dumps([body["source"], body["id"]], separators=(",", ":"))] = time.perf_counter()
        await stream.publish(STEP_SUBJECT.format(thread=item.thread, step=item.step), item.body)
    await asyncio.wait_for(finished.wait(), OUTCOME_SECONDS_MAX)
    return taken


async def serve(threads: int, per_thread: int, seed: int, per_second: float | None) -> None:
    """The process: see above."""
    work = workload(threads, per_thread, seed)
    client = await nats.connect(sys.stdin.readline().strip().split(","))
    stream = client.jetstream(publish_async_max_pending=2 * WINDOW)
    await client.flush()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    started = time.perf_counter()
    answer: object
    if per_second is None:
        await flood(stream, STEP_SUBJECT, work)
        answer = time.perf_counter() - started
    else:
        answer = await steady(client, work, per_second)
    print(json.dumps(answer), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await client.close()


if __name__ == "__main__":
    rate = float(sys.argv[4]) if len(sys.argv) > 4 else None
    asyncio.run(serve(*map(int, sys.argv[1:4]), rate))
