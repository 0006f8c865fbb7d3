"""Goal: verification finds what contradicts that a thread, or a run, was stopped. Method: a store whose threads were
told many things, right as it is, and then changed beside the code, one row at a time."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from relmachine.store.verify.fault import Fault
from relmachine.store.verify.foretold import check_foretold
from relmachine.store.verify.stops import check_stops
from tests.unit.hosts.test_foretelling import on_two
from tests.unit.store.stored import ask, tamper

CHANGES = {
    "UPDATE commits SET to_head = 'x' WHERE thread = 'stopped' AND from_seq >= "
    "(SELECT at_seq FROM thread_stops WHERE thread = 'stopped')": "a change of a thread that was stopped",
    "INSERT INTO thread_events SELECT 'closed', 999, event_id, history_id, evidence, place FROM thread_events "
    "WHERE thread = 'closed' LIMIT 1": "a change of a thread that was stopped",
    "UPDATE run_ends SET lifecycle = 'OPEN>ACTIVE>COMMIT>CLOSE' WHERE thread = 'resumed'": "a run that was cancelled",
    "UPDATE runs SET thread = 'stopped', seq = 999 WHERE thread = 'spare'": "a step that was opened or held",
    "INSERT INTO held VALUES ('closed', 999, 'note', '', '{}', '', '[]', '{}')": "a step that was opened or held",
    "INSERT INTO rejections VALUES ('spare', 3, 'note', '', 'laws', 'thread_cancelled', '', '{}', '')": "before it was",
    "UPDATE rejections SET seq = 1 WHERE thread = 'closed' AND code = 'thread_closed'": "before it was",
}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stops")

    async def nothing(*_: object) -> None: ...

    on_two(folder, nothing)
    return folder / "first.db"


def test_what_is_right_is_right(good: Path) -> None:
    assert ask(good, check_stops) is None


@pytest.mark.parametrize("statement", CHANGES)
def test_what_contradicts_a_stop_is_named(good: Path, tmp_path: Path, statement: str) -> None:
    path = Path(shutil.copy(good, tmp_path / "store.db"))
    tamper(path, statement)
    found = ask(path, check_stops)
    assert isinstance(found, Fault)
    assert CHANGES[statement] in found.differs


@pytest.mark.parametrize("at_seq", [0, 1, 999])
def test_what_is_foretold_lies_ahead(good: Path, tmp_path: Path, at_seq: int) -> None:
    path = Path(shutil.copy(good, tmp_path / "store.db"))
    words = f"'spare', 9, 99, 'pause', '', {at_seq}, '{{}}', '{{}}', 'applied', ''"
    tamper(path, f"INSERT INTO foretold VALUES ({words})")

    async def check(store: object) -> object:

        return await check_foretold(store, Counter())  # pyright: ignore[reportArgumentType]

    assert (ask(path, check) is None) == (at_seq == 999)
