"""Goal: what was decided once is decided the same again, from an export alone, and nobody is asked. Method: a hundred
threads that lived for real with function models, exported, and played back by the same machine, whose models fail.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from relmachine import Replayer, ThreadExport
from relmachine.engine.runs.port import Mode
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
