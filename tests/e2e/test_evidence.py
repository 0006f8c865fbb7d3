"""Goal: the evidence of every decided step is complete, over at least 10,000 of them. Method: the real log and a seeded
flood of good, bad and repeated steps through a whole node, then every row asked; and rows taken out anywhere."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from relmachine.ingest.steps import survey
from relmachine.node import Node, Settings
from relmachine.node.parts import STORE_FILE
from relmachine.node.replay import Target, replay
from relmachine.store.sqlite import SqliteReading
from relmachine.store.verify.evidence import check_evidence
from relmachine.store.verify.fault import Fault
from relmachine.stream.port import Outgoing
from tests import permit
from tests.unit.store.stored import ask, tamper

pytestmark = pytest.mark.process

SEED = 20_261
FLOOD = 2_400


def flood(rng: random.Random) -> Iterator[Outgoing]:
    """Steps of the log in any order on threads of their own; some unreadable, unknown, or with keys used before."""
    steps = [step for case in permit.cases().values() for step in case]
    keys = 0
    for place in range(FLOOD):
        step, thread = rng.choice(steps), f"flood-{rng.randrange(60)}"
        keys += rng.random() > 0.1
        body = {**json.loads(step.body), "id": f"flood-{keys}", "subject": thread}
        kind = rng.random()
        if kind < 0.05:
            yield Outgoing(thread, step.step_token, b"no json", f"flood/{place}")
        elif kind < 0.1:
            yield Outgoing(thread, "_", json.dumps({**body, "type": "no such step"}).encode(), f"flood/{place}")
        else:
            yield Outgoing(thread, step.step_token, json.dumps(body).encode(), f"flood/{place}")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of a node that decided the log and the flood."""
    folder = tmp_path_factory.mktemp("evidence")

    async def work() -> None:
        async with Node.running(permit.machine(), Settings(data_dir=folder, http=False)) as node:
            target = Target(node.stream.publisher, node.store, node.pids())
            await replay(target, permit.machine(), survey(permit.machine(), permit.LOG))
            outgoing = list(flood(random.Random(SEED)))
            published = await node.stream.publisher.publish(outgoing)
            last = {item.thread: answer.sequence for item, answer in zip(outgoing, published, strict=True)}
            for thread, sequence in last.items():
                assert await node.outcome(thread, sequence, 60) is not None

    asyncio.run(work())
    return folder / STORE_FILE


async def _evidence(reading: SqliteReading) -> tuple[Fault | None, int]:
    counts: Counter[str] = Counter()
    return await check_evidence(reading, counts), counts["evidence"]


def test_the_evidence_of_every_step_is_complete(store: Path) -> None:
    began = time.perf_counter()
    fault, steps = ask(store, _evidence)  # type: ignore[misc]
    seconds = time.perf_counter() - began
    connection = sqlite3.connect(store)
    lives = dict(connection.execute(
        "SELECT lifecycle, count(*) FROM (SELECT e.lifecycle FROM thread_events JOIN events e USING (event_id)"
        " UNION ALL SELECT lifecycle FROM rejections) GROUP BY lifecycle"
    ))  # fmt: skip
    connection.close()
    print(f"\nevidence complete: {steps} of {sum(lives.values())} steps, {seconds:.2f} s; lives {lives}")
    assert fault is None
    assert steps == sum(lives.values()) >= 10_000
    assert set(lives) == {"OPEN>ACTIVE>COMMIT>CLOSE", ""}
    assert lives[""] > 500


@pytest.mark.parametrize("table", ["events", "thread_events", "rejections", "receipts"])
def test_a_row_taken_out_anywhere_is_named(store: Path, tmp_path: Path, table: str) -> None:
    """Of refused steps those with a key: one without is named by nothing else."""
    path = tmp_path / "store.db"
    shutil.copyfile(store, path)
    rng = random.Random(SEED)
    where = "step_key IN (SELECT step_key FROM receipts)" if table == "rejections" else "1"
    named = "event_id" if table == "events" else "thread, step_key" if table == "receipts" else "thread, seq"
    connection = sqlite3.connect(path)
    (rows,) = connection.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()
    connection.close()
    out = f"SELECT {named} FROM {table} WHERE {where} ORDER BY {named} LIMIT 1 OFFSET {rng.randrange(rows)}"
    tamper(path, f"DELETE FROM {table} WHERE ({named}) IN ({out})")
    fault, _ = ask(path, _evidence)  # type: ignore[misc]
    assert fault is not None, out
    assert fault.thread
    assert fault.sequence > 0
