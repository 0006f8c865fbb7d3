"""Goal: each trigger written from the model is what keeps a store to it. Method: what the model forbids, written to a
filled store with all its triggers, with each of them dropped, and with one of a model that allows too much."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from relmachine.kernel.lifecycle import ABORTED, COMMITTED
from tables.model import read
from tables.triggers import FILE, schema, triggers
from tests.unit.store.stored import filled

MODEL = read()
_AT = "SELECT thread, head, seq, epoch, 'next', seq + 5 FROM threads WHERE thread = 'a'"
_NEXT = "SELECT 'a', (SELECT seq + 1 FROM threads WHERE thread = 'a')"
_EVENT = """INSERT INTO events SELECT 'new', genesis, step, 'new', tier, payload, payload_digest, contributions_digest,
  parents, plan_digest, {life}, verdicts, NULL FROM events WHERE parents = '[]' LIMIT 1"""
_PLACE = f"INSERT INTO thread_events {_NEXT}, event_id, history_id, '{{}}', 0 FROM thread_events LIMIT 1"
_REJECTION = f"""INSERT INTO rejections {_NEXT}, step, step_key, gate, code, sentence, witness, {{life}}
  FROM rejections LIMIT 1"""

ALLOWED = {
    "events_terminal": [_EVENT.format(life=f"'{COMMITTED}'")],
    "rejections_terminal": [_REJECTION.format(life=f"'{ABORTED}'")],
    "thread_events_second_terminal": [_PLACE],
    "rejections_second_terminal": [_REJECTION.format(life="''")],
}
"""What the trigger lets pass, by trigger."""

FORBIDDEN = {
    "events_terminal": [_EVENT.format(life=f"'{ABORTED}'")],
    "rejections_terminal": [_REJECTION.format(life=f"'{COMMITTED}'")],
    "thread_events_second_terminal": [_REJECTION.format(life="''"), _PLACE],
    "rejections_second_terminal": [_PLACE, _REJECTION.format(life="''")],
}
"""What it refuses, by trigger: the last statement is the one too many."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    place = tmp_path_factory.mktemp("triggers") / "store.db"
    filled(place)
    connection = sqlite3.connect(place, isolation_level=None)
    yield connection
    connection.close()


def answer(store: sqlite3.Connection, change: str, statements: list[str]) -> str:
    """What the store says to statements inside a commit of thread `a`, after a change of its schema; empty when it
    takes them. Nothing stays."""
    store.execute("BEGIN")
    try:
        for statement in (*change.split(";;"), f"INSERT INTO commits {_AT}", *statements):
            store.execute(statement)
    except sqlite3.IntegrityError as error:
        return str(error)
    finally:
        store.execute("ROLLBACK")
    return ""


def test_every_trigger_written_is_tried_here() -> None:
    assert set(triggers(MODEL)) == set(FORBIDDEN) == set(ALLOWED)


@pytest.mark.parametrize("name", FORBIDDEN)
def test_each_trigger_refuses_what_only_it_refuses(store: sqlite3.Connection, name: str) -> None:
    assert answer(store, "", ALLOWED[name]) == ""
    assert answer(store, "", FORBIDDEN[name]).startswith("terminal: ")
    assert answer(store, f"DROP TRIGGER {name}", FORBIDDEN[name]) == ""


def test_triggers_of_a_model_that_allows_more_are_other_triggers(store: sqlite3.Connection) -> None:
    step = MODEL.step.model_copy(update={"moves": {**MODEL.step.moves, "OPEN": ("COMMIT",), "COMMIT": ("ABORT",)}})
    weaker = triggers(MODEL.model_copy(update={"step": step}))["events_terminal"]
    life = _EVENT.format(life="'OPEN>COMMIT>ABORT>CLOSE'")
    assert answer(store, "", [life]).startswith("terminal: ")
    assert answer(store, f"DROP TRIGGER events_terminal;;{weaker}", [life]) == ""


def test_a_schema_without_its_block_is_refused() -> None:
    text = FILE.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="one block"):
        schema(MODEL, text.replace("-- Up to here", "-- up to here"))
    with pytest.raises(ValueError, match="one block"):
        schema(MODEL, text + text)
