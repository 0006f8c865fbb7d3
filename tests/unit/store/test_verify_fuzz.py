"""Goal: no cell of a store changes unnoticed, and no damage makes verification raise. Method: one cell of a random row
at a time, of every column of every table, changed in a store that has every kind of row."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from random import Random

import pytest

from relmachine.errors import Code, RelmError
from relmachine.store.opening import SCHEMA
from relmachine.store.verify import Report, verify
from tests.unit.forks.joined_store import joined
from tests.unit.held.filled_store import waited
from tests.unit.runs.filled_store import ran
from tests.unit.store.stored import ask, eventful, tamper, told_things

Cell = bytes | int | float
Row = dict[str, Cell]

ROWS = 3
"""Rows tried of each column."""

DRAFTS = ("thread", "seq", "attempt", "place", "decision")

UNKNOWABLE = {
    ("meta", "value"): "a store's id is drawn at random",
    ("events", "plan_digest"): "another plan of the same laws gives the same event",
    ("events", "number"): "a number means nothing while no claim or contribution hangs on it",
    ("thread_events", "evidence"): "who, when and which trace are told by the step's message alone",
    ("receipts", "payload_digest"): "the payload of a refused step is not kept",
    ("sealed", "part"): "how far triggers take rows for settled; nothing hangs on it",
    ("sealed", "number"): "how far triggers take rows for settled; nothing hangs on it",
    ("runs", "evidence"): "who, when and which trace are told by the step's message alone",
    ("held", "evidence"): "who, when and which trace are told by the step's message alone",
    ("controls", "evidence"): "of an answer, as of a step",
    **{("run_drafts", column): "no evidence: working memory" for column in DRAFTS},
    ("rejections", "step"): "without a receipt the step's message alone tells",
    ("rejections", "code"): "without a receipt the step's message alone tells",
    ("rejections", "sentence"): "without a receipt the step's message alone tells",
    ("rejections", "witness"): "only gate 3's admission gives the same witness again, and none that was cut",
}
"""Columns of which some cells can be changed to another that may be right, and why; store/DESIGN.md lists them too."""


EMPTY = {"units", "peers", "revocations", "fence_refusals", "foretold", "under_way"}
"""Tables that nothing fills, or that are empty between transactions, or once a store is built again. What
`fence_refusals` counts, where nodes share servers, is nothing an event tells."""

RECORDS = {"controls", "obstructions", "resolutions"}
"""Tables that only control records fill."""

RUNS = {"runs", "runs_open", "run_attempts", "run_answers", "run_ends", "decisions", "iterations", "frozen_plans"}
RUNS |= {"run_drafts"}
"""Tables that only steps outside their turn fill."""

HELD = {"held", "held_ends"}
"""Tables that only steps that are held fill."""

RELEASED = HELD | {"controls", "threads", "receipts", "rejections", "outbox"}
"""Tables in which such steps leave rows of another kind than others do."""

ANSWERED = RUNS | {
    "controls",
    "events",
    "event_contributions",
    "thread_events",
    "threads",
    "receipts",
    "rejections",
    "outbox",
}
"""Tables in which such steps leave rows of another kind than others do."""

LANE = {"control_effects"}
"""What only the control lane fills. Its messages wait there: of one that left, nothing else tells the evidence."""

JOINED = RECORDS | {
    "thread_events",
    "threads",
    "histories",
    "history_extensions",
    "receipts",
    "rejections",
    "transitions",
}
"""Tables in which control records leave rows of another kind than steps do."""


def _columns() -> list[tuple[str, str]]:
    connection = sqlite3.connect(":memory:")
    connection.executescript(SCHEMA.read_text(encoding="utf-8"))
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    found = [(table, row[1]) for table in tables for row in connection.execute(f"PRAGMA table_info({table})")]
    connection.close()
    return found


MADE: dict[str, Callable[[Path], object]] = {
    "steps": eventful,
    "records": joined,
    "runs": ran,
    "held": waited,
    "lane": told_things,
}
FILLED: dict[str, Callable[[str], bool]] = {
    "steps": lambda table: table not in RECORDS | RUNS | HELD | LANE,
    "records": JOINED.__contains__,
    "runs": ANSWERED.__contains__,
    "held": RELEASED.__contains__,
    "lane": (LANE | {"threads", "outbox"}).__contains__,
}
CELLS = [(store, table, column) for table, column in _columns() for store in MADE if FILLED[store](table)]
"""Which store, which column."""


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """A file with every kind of row that steps leave, and one with those of control records."""
    folder = tmp_path_factory.mktemp("stores")
    return {name: _made(folder / f"{name}.db", make) for name, make in MADE.items()}


def _made(place: Path, make: Callable[[Path], object]) -> Path:
    make(place)
    tamper(place)
    connection = sqlite3.connect(place)
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()
    found = ask(place, verify)
    assert isinstance(found, Report)
    assert found.ok, found.fault
    return place


def _rows(path: Path, table: str) -> list[Row]:
    connection = sqlite3.connect(path)
    connection.text_factory = bytes
    cursor = connection.execute(f"SELECT * FROM {table}")
    rows = [dict(zip([column[0] for column in cursor.description], row, strict=True)) for row in cursor]
    connection.close()
    return rows


def _changes(random: Random, cell: Cell, others: list[Cell]) -> Iterator[Cell]:
    """Other values of the cell: near to it, of another row, and damaged."""
    different = [other for other in others if other != cell]
    if different:
        yield random.choice(different)
    if not isinstance(cell, bytes):
        yield cell + random.choice((-1, 1))
        return
    at = random.randrange(len(cell)) if cell else 0
    yield cell[:at] + bytes([cell[at] ^ 1]) + cell[at + 1 :] if cell else b"x"
    yield random.choice((cell + b" ", b"", cell[:at] + b"\xff" + cell[at:], cell[:at] + b"\x00"))


def _change(path: Path, table: str, column: str, row: Row, value: Cell) -> bool:
    """Write the one cell; False when the table cannot hold it."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA ignore_check_constraints = ON")
    keys = [name for name, cell in row.items() if cell is not None]
    where = " AND ".join(f"CAST({name} AS BLOB) IS CAST(? AS BLOB)" for name in keys)
    try:
        kind = {int: "INTEGER", float: "REAL"}.get(type(value), "TEXT")
        update = f"UPDATE {table} SET {column} = CAST(? AS {kind}) WHERE {where}"
        with connection:
            return connection.execute(update, [value, *(row[name] for name in keys)]).rowcount == 1
    except (sqlite3.IntegrityError, sqlite3.OperationalError):  # the latter where a column is computed from it
        return False
    finally:
        connection.close()


def _unnoticed(path: Path) -> bool:
    """Whether opening and verifying find nothing; what they find has a code and says what to do."""
    try:
        found = ask(path, verify)
    except RelmError as error:
        assert error.code in (Code.STORE_DAMAGED, Code.STORE_SCHEMA_FUTURE, Code.STORE_SCHEMA_PAST), error
        return False
    assert isinstance(found, Report)
    assert found.fault is None or (found.fault.code in Code and found.fault.sentence and found.fault.differs)
    return found.ok


def _may_be_right(table: str, column: str, row: Row, value: Cell, others: list[Cell]) -> bool:
    """Whether nothing in the store could tell that the cell was another."""
    match table, column:
        case "sealed", _:
            return True
        case "events", "plan_digest":
            return value in others
        case "meta", "value":
            return row["key"] == b"store_id"
        case "receipts", "payload_digest":
            digest = re.fullmatch(rb"[0-9a-f]{64}", value) if isinstance(value, bytes) else None
            return digest is not None and b'"refused"' in bytes(row["outcome"])
        case "rejections", "step" | "code" | "sentence":
            return row["code"] in (b"not_json", b"id_conflict")
        case "rejections", "witness":
            return row["code"] in (b"not_json", b"closure_failed") or b'"cut"' in bytes(row["witness"])
    return (table, column) in UNKNOWABLE


@pytest.mark.parametrize(("store", "table", "column"), CELLS, ids=str)
def test_a_changed_cell_is_found(
    stores: Mapping[str, Path], tmp_path: Path, store: str, table: str, column: str
) -> None:
    good, random = stores[store], Random(f"{table}.{column}")
    rows = _rows(good, table)
    assert bool(rows) != (table in EMPTY)
    others = sorted({row[column] for row in rows}, key=repr)
    for row in random.sample(rows, min(ROWS, len(rows))):
        for value in _changes(random, row[column], others):
            if value == row[column]:
                continue
            path = Path(shutil.copy(good, tmp_path / "store.db"))
            if _change(path, table, column, row, value) and _unnoticed(path):
                assert _may_be_right(table, column, row, value, others), (row[column], value)


@pytest.mark.parametrize("table", sorted(EMPTY - {"fence_refusals"}))
def test_a_row_that_no_turn_writes_is_found(stores: Mapping[str, Path], tmp_path: Path, table: str) -> None:
    path = Path(shutil.copy(stores["steps"], tmp_path / "store.db"))
    connection = sqlite3.connect(path)
    count = len(connection.execute(f"PRAGMA table_info({table})").fetchall())
    connection.close()
    tamper(path, f"INSERT INTO {table} VALUES ({', '.join(['1'] * count)})")
    found = ask(path, verify)
    assert isinstance(found, Report)
    assert found.fault is not None
    assert table in found.fault.differs
