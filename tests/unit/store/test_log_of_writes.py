"""Goal: what commits leave in the log is moved into the file between commits, by the connection of the data, and never
while a control record waits. Method: turns of small and of large steps, and a look at what the connections run."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from relmachine.kernel.limits import Limits
from relmachine.store import writing
from relmachine.store.sqlite import SqliteStore
from relmachine.store.sqlite_lane import SqliteLane
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


def test_the_lane_moves_nothing(tmp_path: Path) -> None:
    asyncio.run(SqliteStore.open(tmp_path / "store.db", Desk.new().plan).close())
    lane = SqliteLane(tmp_path / "store.db", WriteOrder())
    assert lane._connection.execute("PRAGMA wal_autocheckpoint").fetchone() == (0,)  # pyright: ignore[reportPrivateUsage]
    lane.close()
