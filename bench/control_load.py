"""Publishes steps at a steady rate, in small bursts: a process of its own for `bench.control`.

Reads one JSON object from its first line of input, `url`, `rate` (steps a second) and `work` (thread, step, body);
prints a line when it begins and the seconds that it took when the stream has all.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import nats

from bench.publishing import STEP_SUBJECT, WINDOW

BURSTS_PER_SECOND = 50.0


async def publish(told: dict[str, object]) -> None:
    """Publish all of it."""
    client = await nats.connect(str(told["url"]))
    stream = client.jetstream(publish_async_max_pending=2 * WINDOW)
    work: list[list[str]] = told["work"]  # type: ignore[assignment]
    rate = float(str(told["rate"]))
    print(json.dumps("began"), flush=True)
    started = time.perf_counter()
    for index, (thread, step, body) in enumerate(work):
        ahead = index / rate - (time.perf_counter() - started)
        if ahead > 1 / BURSTS_PER_SECOND:
            await asyncio.sleep(ahead)
        await stream.publish_async(STEP_SUBJECT.format(thread=thread, step=step), body.encode())
    await stream.publish_async_completed()
    print(json.dumps(time.perf_counter() - started), flush=True)
    await client.close()


if __name__ == "__main__":
    asyncio.run(publish(json.loads(sys.stdin.readline())))
