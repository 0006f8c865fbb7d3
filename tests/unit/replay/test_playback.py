"""Goal: what was decided once is decided the same again, from an export alone, and nobody is asked. Method: a hundred
threads that lived for real with function models, exported, and played back by the same machine, whose models fail.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from relmachine import Replayer, ThreadExport
from tests.unit.replay.threads import THREADS, lived
from tests.unit.replay.triage import triage


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> list[ThreadExport]:
    return lived(triage(), tmp_path_factory.mktemp("lived"))


def test_a_hundred_threads_play_back_identically_and_ask_nobody(exports: list[ThreadExport]) -> None:
    called = Counter[str]()

    async def replays() -> list[tuple[str, object]]:
        replayer = Replayer(triage(called))
        return [(one.thread, found) for one in exports if not (found := await replayer.replay(one)).identical]

    assert len({one.thread for one in exports}) == THREADS
    assert asyncio.run(replays()) == []
    assert called == {}


def test_the_hundred_have_lived_through_everything(exports: list[ThreadExport]) -> None:
    runs = [run for one in exports for run in one.runs]
    reasons = Counter(attempt.reason for run in runs for attempt in run.attempts)
    told = Counter((run.outcome or {}).get("code", "committed") for run in runs)
    records = Counter(message.step for one in exports for message in one.messages if message.body)
    assert {"done", "overtaken", "cap"} <= set(reasons)
    assert {"committed", "run_cap", "thread_cancelled", "thread_closed"} <= set(told)
    assert {"_fork", "_merge", "_close", "_resolve", "_answer", "confirm", "note", "retract"} <= set(records)
    assert {run.step for run in runs} == {"propose", "judge", "route", "ask", "count"}
    assert Counter(len(run.attempts) for run in runs)[2] > 10
    assert {stop.record for one in exports for stop in one.stops} == {"cancel", "close"}
    assert any(message.body == "" for one in exports for message in one.messages)


def test_an_export_is_what_its_file_says(exports: list[ThreadExport], tmp_path: Path) -> None:
    for one in exports[::25]:
        one.save(tmp_path / "thread.json")
        assert ThreadExport.load(tmp_path / "thread.json") == one
