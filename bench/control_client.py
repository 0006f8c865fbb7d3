"""Cancels threads at a steady rate and times each: a process of its own for `bench.control`.

Reads one JSON object from its first line of input, `url`, `threads` and `per_second`; prints a line once it is
connected, begins at the next line, and prints the milliseconds of each cancellation. It runs at once where that
is allowed: whoever cancels has a machine of their own, and how long this process waits for a core of the node's is not
the node's time.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import aiohttp
import uvloop

from bench.machine import GRANTED
from relmachine.priority import raise_process
from relmachine.realtime import at_once


async def cancel(told: dict[str, object]) -> None:
    """On connections that are kept, as an operator's page keeps them. Not httpx: it takes two milliseconds of CPU for a
    request, which would be measured along.
    """
    taken: list[float] = []
    threads: list[str] = told["threads"]  # type: ignore[assignment]
    per_second = float(str(told["per_second"]))
    async with aiohttp.ClientSession(str(told["url"]), timeout=aiohttp.ClientTimeout(60.0)) as client:

        async def answer(thread: str, body: dict[str, str]) -> tuple[int, str]:
            async with client.post(f"/threads/{thread}/control", json=body) as answer:
                return answer.status, await answer.text()

        async def one(thread: str) -> None:
            began = time.perf_counter()
            status, text = await answer(thread, {"record": "cancel", "reason": "bench", "principal": GRANTED[0]})
            taken.append((time.perf_counter() - began) * 1000)
            if status != 200 or json.loads(text)["outcome"] != "applied":
                raise AssertionError(text)

        await answer("-", {"record": "resume"})  # opens the connection
        print(json.dumps("ready"), flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        started = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for index, thread in enumerate(threads):
                await asyncio.sleep(max(0.0, started + index / per_second - time.perf_counter()))
                group.create_task(one(thread))
    print(json.dumps(taken), flush=True)


if __name__ == "__main__":
    raise_process()
    with at_once():
        uvloop.run(cancel(json.loads(sys.stdin.readline())))
