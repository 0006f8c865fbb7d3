"""Goal: the evidence of every decided step is complete, over at least 10,000 of them, however their lives end. Method:
a whole node decides the real log, a seeded flood, steps that wait and runs with every end; the store's own verification
and a count that shares no code with it look at every row; and rows taken out anywhere are missed by both."""

from __future__ import annotations

import random
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from relmachine.hosts import sweep
from relmachine.kernel.answer import Reason
from relmachine.kernel.candidate import Message
from relmachine.node.store_opening import STORE_FILE
from relmachine.store.sqlite import SqliteReading
from relmachine.store.verify.evidence import check_evidence
from relmachine.store.verify.fault import Fault
from tests.evidence.asking import HANGS, LATE
from tests.evidence.deciding import decided
from tests.evidence.flood import ENDS, FAILED, HELD, SEED
from tests.evidence.tally import tally
from tests.unit.store.stored import ask, tamper

pytestmark = pytest.mark.process

COMMITTED, ABORTED = "OPEN>ACTIVE>COMMIT>CLOSE", "OPEN>ACTIVE>ABORT>CLOSE"

CODES = {
    Reason.CAP: "run_cap",
    Reason.FATAL: "run_failed",
    Reason.NO_PROGRESS: "run_stuck",
    Reason.BUDGET: "budget_spent",
    Reason.OVERTAKEN: "run_overtaken",
    HANGS: "run_cancelled",
}
"""Why each run that is to end so gives no event."""

Filled = tuple[Path, Sequence[Message]]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Filled:
    """The store of a node that decided everything, and every message on its stream."""
    folder = tmp_path_factory.mktemp("evidence")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep, "SWEEP_SECONDS", 0.2)
        messages = decided(folder)
    return folder / STORE_FILE, messages


async def _evidence(reading: SqliteReading) -> tuple[Fault | None, int]:
    counts: Counter[str] = Counter()
    return await check_evidence(reading, counts), counts["evidence"]


def test_the_evidence_of_every_step_is_complete(filled: Filled) -> None:
    store, messages = filled
    began = time.perf_counter()
    fault, steps = ask(store, _evidence)  # type: ignore[misc]
    seconds = time.perf_counter() - began
    found = tally(store, messages)
    print(f"\nevidence complete: {steps} of {found.steps} steps, {seconds:.2f} s; {len(messages)} messages, of which")
    print(f"{found.repeated} repeated, records {dict(found.records)}; lives {dict(found.lives)}")
    assert fault is None
    assert found.gaps == []
    assert steps == found.steps >= 10_000
    assert len(messages) == found.steps + found.repeated + sum(found.records.values())


def test_every_end_of_a_life_is_among_them(filled: Filled) -> None:
    lives = tally(*filled).lives
    runs = {(life, why): count for (home, life, why), count in lives.items() if home == "runs"}
    done = {(COMMITTED, ""): ENDS[Reason.DONE] + ENDS[LATE]}
    assert runs == done | {(ABORTED, code): ENDS[end] for end, code in CODES.items()}
    held = {(life, why): count for (home, life, why), count in lives.items() if home == "held"}
    assert held == {(COMMITTED, ""): HELD, ("", "held_too_long"): HELD}
    refused = {(life, why): count for (home, life, why), count in lives.items() if home == "rejections"}
    assert refused.keys() == {("", "shape"), ("", "policy"), ("", "laws"), (ABORTED, "closure_failed")}
    assert refused["", "policy"] == refused[ABORTED, "closure_failed"] == FAILED
    assert min(refused.values()) >= FAILED


_KEYS = {
    "events": "event_id",
    "thread_events": "thread, seq",
    "rejections": "thread, seq",
    "receipts": "thread, step_key",
    "runs": "thread, seq",
    "run_attempts": "thread, seq, attempt",
    "run_answers": "thread, seq, attempt",
    "run_ends": "thread, seq",
    "held_ends": "thread, seq",
}


@pytest.mark.parametrize("table", _KEYS)
def test_a_row_taken_out_anywhere_is_missed(filled: Filled, tmp_path: Path, table: str) -> None:
    """Of refused steps those with a key: the store names one without by nothing else."""
    path, rng = tmp_path / "store.db", random.Random(SEED)
    shutil.copyfile(filled[0], path)
    named = _KEYS[table]
    where = "step_key IN (SELECT step_key FROM receipts)" if table == "rejections" else "1"
    connection = sqlite3.connect(path)
    (rows,) = connection.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()
    connection.close()
    out = f"SELECT {named} FROM {table} WHERE {where} ORDER BY {named} LIMIT 1 OFFSET {rng.randrange(rows)}"
    tamper(path, f"DELETE FROM {table} WHERE ({named}) IN ({out})")
    fault, _ = ask(path, _evidence)  # type: ignore[misc]
    assert fault is not None, out
    assert fault.thread
    assert fault.sequence > 0
    assert tally(path, filled[1]).gaps, out
