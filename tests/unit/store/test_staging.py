"""Goal: every row of a commit is among those that are moved, in the order in which they refer to each other, none of
them of an earlier commit. Method: the rows of commits that write every table, and what is staged of them."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from relmachine.kernel.proposal import Proposal
from relmachine.kernel.run_rows import RunRows
from relmachine.machine.plan import Plan
from relmachine.store import staging, tables
from relmachine.store.parts import part_of
from relmachine.store.sqlite_opening import connect_writer, settle_schema
from relmachine.store.staging import ORDER, move, prepare, stage
from relmachine.store.turn_rows import moved
from tests.contract.store_turns import Desk


def opened(path: Path, plan: Plan) -> sqlite3.Connection:
    connection = connect_writer(path)
    settle_schema(connection, path, plan)
    prepare(connection)
    return connection


def rows_of(made: Desk, *turns: Proposal) -> dict[tables.Target, list[tuple[object, ...]]]:
    return dict(part_of(made.plan, turns, set(), 64).rows)


def test_what_a_commit_may_write_is_staged_in_its_order() -> None:
    made = Desk.new()
    turn = made.turn("t", made.steps.admitted("t", "receive", union="x"))
    with_run = rows_of(made, replace(turn, run=RunRows()))
    assert [target for target in ORDER if target in with_run] == list(with_run)
    assert set(ORDER) - set(with_run) == {tables.SENT, tables.SECTION_SNAPSHOTS, tables.MOVED}
    assert (ORDER[0], ORDER[-1]) == (tables.SENT, tables.MOVED)


@pytest.mark.parametrize("steps", [1, 60, 200])
def test_all_rows_are_moved_and_none_twice(tmp_path: Path, steps: int) -> None:
    made, told = Desk.new(), list[tuple[object, ...]]()
    connection = opened(tmp_path / "store.db", made.plan)
    for _ in range(2):
        turn = made.notes("t", steps)
        rows = rows_of(made, turn)
        told += rows[tables.OUTBOX]
        stage(connection, {**rows, tables.MOVED: [(*moved(turn.after), 0)]})
        move(connection)
        assert not connection.in_transaction, "durable"
        assert connection.execute("SELECT head, seq FROM threads").fetchall() == [(turn.after.head, turn.after.cursor)]
    assert connection.execute("SELECT thread, seq, kind, body FROM outbox ORDER BY seq").fetchall() == told
    stage(connection, {tables.SENT: [(row[1], row[2], row[0]) for row in told[1:]]})
    move(connection)
    assert connection.execute("SELECT thread, seq, kind, body FROM outbox").fetchall() == told[:1]
    connection.close()


def test_where_one_row_is_refused_none_is_written(tmp_path: Path) -> None:
    made = Desk.new()
    connection = opened(tmp_path / "store.db", made.plan)
    turn = made.notes("t", 3)
    rows = {**rows_of(made, turn), tables.TRANSITIONS: [("t", 1, "no claim", "no kind", "", "")]}
    stage(connection, rows)
    with pytest.raises(sqlite3.IntegrityError):
        move(connection)
    assert not connection.in_transaction
    for target in (tables.THREADS, tables.COMMITS, tables.EVENTS, tables.THREAD_EVENTS):
        assert connection.execute(f"SELECT count(*) FROM {target.name}").fetchone() == (0,)
    connection.close()


def test_a_statement_holds_few_enough_values() -> None:
    connection = sqlite3.connect(":memory:")
    width = 1 + max(staging._WIDTHS)  # pyright: ignore[reportPrivateUsage]
    limit = connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
    assert staging._ROWS_PER_STATEMENT_MAX * width <= min(limit, 32_766)  # pyright: ignore[reportPrivateUsage]
    connection.close()
