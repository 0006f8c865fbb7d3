"""The raw floor: fetch, Pydantic, one SQLite transaction per batch, ack. What any exactly-once consumer has to pay.

Runs as a process of its own: `python -m bench.floor NATS_URL DATABASE STEPS`. Reads the same bytes as the path.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from typing import Literal

import nats
import nats.errors
from nats.js.api import AckPolicy, ConsumerConfig
from pydantic import AwareDatetime, BaseModel, ConfigDict

BATCH = 500


class Payload(BaseModel):
    """The payload of every step of workload W."""

    model_config = ConfigDict(extra="forbid")
    actor: str
    at: AwareDatetime
    amount: int | str
    note: str
    ref: str
    region: str
    kind: str | None = None


class Event(BaseModel):
    """The envelope."""

    model_config = ConfigDict(extra="forbid")
    specversion: Literal["1.0"]
    id: str
    source: str
    type: str
    principal: str
    data: Payload


async def consume(url: str, database: str, steps: int) -> None:
    """Take `steps` steps: one row each, one transaction per batch, acknowledged after it is durable."""
    db = sqlite3.connect(database, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("CREATE TABLE IF NOT EXISTS steps(seq INTEGER PRIMARY KEY, subject TEXT, id TEXT, body TEXT)")
    connection = await nats.connect(url)
    stream = connection.jetstream()
    config = ConsumerConfig(durable_name="floor", ack_policy=AckPolicy.ALL, max_ack_pending=20_000, ack_wait=30)
    await stream.add_consumer("FLOOR", config)
    subscription = await stream.pull_subscribe_bind("floor", "FLOOR", pending_msgs_limit=-1, pending_bytes_limit=-1)
    print("ready", flush=True)
    taken = 0
    while taken < steps:
        try:
            messages = await subscription.fetch(BATCH, timeout=1)
        except nats.errors.TimeoutError:
            continue
        rows = [(m.metadata.sequence.stream, m.subject, Event.model_validate_json(m.data).id, m.data) for m in messages]
        db.execute("BEGIN IMMEDIATE")
        db.executemany("INSERT OR IGNORE INTO steps VALUES (?, ?, ?, ?)", rows)
        db.execute("COMMIT")
        await messages[-1].ack_sync()
        taken += len(messages)
    await connection.close()
    db.close()


if __name__ == "__main__":
    asyncio.run(consume(sys.argv[1], sys.argv[2], int(sys.argv[3])))
