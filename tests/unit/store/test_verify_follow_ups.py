"""Goal: no step that an answer proposes can be changed on its way out unnoticed. Method: a store with a run whose
answer proposes a step that has not left, its outbox row changed by somebody who removed the triggers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from relmachine.store.verify import Report, verify
from tests.unit.runs.filled_store import ran
from tests.unit.store.stored import ask, tamper


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("store") / "store.db"
    ran(place)
    return place


def verified(store: Path, path: Path, change: str) -> Report:
    shutil.copyfile(store, path)
    tamper(path, change)
    found = ask(path, verify)
    assert isinstance(found, Report)
    return found


@pytest.mark.parametrize(
    "body",
    [
        "json_set(body, '$[0].type', 'retract')",
        "json_set(body, '$[0].data.more', 1)",
        "json_set(body, '$[0].hops', 0)",
        "json_set(body, '$[0].following', 1024)",
        "json_set(body, '$[0].principal', 'eve')",
        "json_insert(body, '$[#]', json_set(body -> '$[0]', '$.id', replace(body ->> '$[0].id', '/0', '/1')))",
    ],
)
def test_what_an_answer_proposes_leaves_as_it_said(store: Path, tmp_path: Path, body: str) -> None:
    found = verified(
        store, tmp_path / "store.db", f"UPDATE outbox SET body = {body} WHERE kind = 'step' AND thread = 'a'"
    )
    assert found.fault is not None and (found.fault.thread, found.fault.differs) == ("a", "outbox.body of step")


def test_what_has_left_is_not_missed(store: Path, tmp_path: Path) -> None:
    assert verified(store, tmp_path / "store.db", "DELETE FROM outbox WHERE kind = 'step'").ok
