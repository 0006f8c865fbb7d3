"""Goal: what commits leave in the log is moved into the file between their parts, by the connection of the data, and
never while a control record waits. Method: turns of small and of large steps, and what the connections run.
"""

from __future__ import annotations

import asyncio
from itertools import groupby
from pathlib import Path

import pytest

from relmachine.kernel.limits import Limits
from relmachine.store import write_order, writing
from relmachine.store.parts import STEPS_PER_PART_MAX
from relmachine.store.sqlite import SqliteStore
from relmachine.store.sqlite_lane import SqliteLane
from relmachine.store.sqlite_opening import CHECKPOINT_PAGES_OF_NODES
from relmachine.store.write_order import WriteOrder
from tests.contract.store_turns import Desk


@pytest.mark.parametrize(("characters", "moved"), [(1, False), (writing.BYTES_PER_CHECKPOINT, True)])
def test_large_steps_are_moved_sooner(tmp_path: Path, characters: int, moved: bool) -> None:
    async def test() -> None:
        made = Desk.new()
        store = SqliteStore.open(tmp_path / "store.db", made.plan, Limits())
        seen: list[str] = []
        store._writer.connection.set_trace_callback(seen.append)  # pyright: ignore[reportPrivateUsage]
        await store.commit([made.turn("t", made.steps.admitted("t", "receive", union="x" * characters))])
        assert any("wal_checkpoint" in statement for statement in seen) is moved
        await store.close()

    asyncio.run(test())


def _moves(seen: list[str]) -> list[str]:
    """What was run, part by part: `p` for a part, `m` for the log that is moved."""
    kinds = {"INSERT INTO staged_commit VALUES (0)": "p", "PRAGMA wal_checkpoint(PASSIVE)": "m"}
    # What the triggers of a statement do is told under its text.
    return [kind for kind, _ in groupby(kinds[text] for text in seen if text in kinds)]


def test_the_log_is_moved_between_the_parts_of_a_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "STEPS_PER_CHECKPOINT", 2)

    async def test() -> None:
        made = Desk.new()
        store = SqliteStore.open(tmp_path / "store.db", made.plan, Limits())
        seen: list[str] = []
        store._writer.connection.set_trace_callback(seen.append)  # pyright: ignore[reportPrivateUsage]
        await store.commit([made.notes(f"t{number}", STEPS_PER_PART_MAX) for number in range(3)])
        assert _moves(seen) == ["p", "m"] * 3
        await store.close()

    asyncio.run(test())


def test_nothing_is_moved_while_a_record_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "STEPS_PER_CHECKPOINT", 1)
    monkeypatch.setattr(write_order, "GIVE_WAY_SECONDS_MAX", 0.01)

    async def test() -> None:
        made, order = Desk.new(), WriteOrder()
        store = SqliteStore.open(tmp_path / "store.db", made.plan, Limits(), order)
        seen: list[str] = []
        store._writer.connection.set_trace_callback(seen.append)  # pyright: ignore[reportPrivateUsage]
        with order.urgent():
            await store.commit([made.notes("t", 2)])
        assert _moves(seen) == ["p"]
        seen.clear()
        await store.commit([made.notes("u", 2)])
        assert _moves(seen) == ["p", "m"]
        await store.close()

    asyncio.run(test())


def test_commits_of_a_node_move_only_what_nobody_counts(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "store.db", Desk.new().plan)
    found = store._writer.connection.execute("PRAGMA wal_autocheckpoint").fetchone()  # pyright: ignore[reportPrivateUsage]
    assert found == (CHECKPOINT_PAGES_OF_NODES,)
    asyncio.run(store.close())


def test_the_lane_moves_nothing(tmp_path: Path) -> None:
    asyncio.run(SqliteStore.open(tmp_path / "store.db", Desk.new().plan).close())
    lane = SqliteLane(tmp_path / "store.db", WriteOrder())
    assert lane._connection.execute("PRAGMA wal_autocheckpoint").fetchone() == (0,)  # pyright: ignore[reportPrivateUsage]
    lane.close()
