"""Goal: laws of an author's own over the real log refuse exactly what plain SQL counts. Method: the log through two
whole nodes, one with the permit machine and one with the strict one; counts over the events of the first, which no
such law touched, against the refusals of the second; then the same again after a restart, and a verification."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from relmachine.ingest.steps import survey
from relmachine.node import Node, Settings
from relmachine.node.log_replay import Target, replay_log
from relmachine.store import sqlite
from relmachine.store.port import Table
from relmachine.store.verify import verify
from tests import permit

pytestmark = [pytest.mark.process, pytest.mark.slow]

STRICT = permit.FOLDER / "permit_strict.yaml"

BOTH = """
SELECT count(DISTINCT a.thread) FROM thread_events a JOIN events checked ON checked.event_id = a.event_id
JOIN thread_events b ON b.thread = a.thread JOIN events determined ON determined.event_id = b.event_id
WHERE checked.step = 't02' AND determined.step = 't04'
  AND checked.payload ->> 'resource' = determined.payload ->> 'resource'
"""
"""Cases in which somebody both checked and determined, over the plain machine's events."""

LATE = """
WITH done AS (
  SELECT te.thread, e.step, e.payload ->> 'resource' AS who, date(substr(e.payload ->> 'at', 1, 10)) AS day
  FROM thread_events te JOIN events e ON e.event_id = te.event_id)
SELECT count(*) FROM done sent JOIN done received ON received.thread = sent.thread
WHERE sent.step = 't05' AND received.step = 'confirmation_of_receipt'
  AND julianday(sent.day) - julianday(received.day) > 42
  AND NOT EXISTS (SELECT 1 FROM done c JOIN done d ON d.thread = c.thread AND d.who = c.who
    WHERE c.thread = sent.thread AND c.step = 't02' AND d.step = 't04')
"""
"""Confirmations sent too late, over the plain machine's events, where the four eyes let the case come so far."""

REFUSED = """
SELECT witness ->> '$.law', count(DISTINCT thread), count(*) FROM rejections
WHERE code = 'law_broken' GROUP BY 1 ORDER BY 1
"""


async def replayed(folder: Path, machine: Path) -> None:
    declared = permit.machine(machine)
    async with Node.running(declared, Settings(data_dir=folder, http=False)) as node:
        await replay_log(Target(node.stream.publisher, node.store, node.pids()), declared, survey(declared, permit.LOG))


async def asked(folder: Path, sql: str) -> Table:
    store = sqlite.open_reading(folder / "store.db")
    try:
        return await store.select(sql)
    finally:
        await store.close()


def test_refused_cases_are_those_that_sql_counts(tmp_path: Path) -> None:
    async def work() -> None:
        plain, strict = tmp_path / "plain", tmp_path / "strict"
        await replayed(plain, permit.YAML)
        ((both,),) = (await asked(plain, BOTH)).rows
        ((late,),) = (await asked(plain, LATE)).rows
        assert (both, late) == (1040, 2)
        for _ in range(2):  # the second replay finds everything decided
            await replayed(strict, STRICT)
            refused = {law: cases for law, cases, _ in (await asked(strict, REFUSED)).rows}
            assert refused == {"four_eyes": both, "deadline": late}
        ((still,),) = (await asked(strict, BOTH)).rows
        assert still == 0
        store = sqlite.open_reading(strict / "store.db")
        report = await verify(store)
        await store.close()
        assert report.fault is None, report.fault

    asyncio.run(work())
