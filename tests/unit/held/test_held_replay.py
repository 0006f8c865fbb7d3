"""Goal: a thread with held steps is exported, and decided again from the export alone. Method: the thread of a workshop
in which steps were released, kept, refused and timed out, through the public replayer."""

from __future__ import annotations

import asyncio
from pathlib import Path

from relmachine.replay.exporting import export
from relmachine.replay.replayer import Replayer
from relmachine.store.sqlite import SqliteStore
from tests.unit.held.desk import machine
from tests.unit.held.filled_store import waited


def test_an_exported_thread_is_replayed_alike(tmp_path: Path) -> None:
    waited(tmp_path / "store.db")

    async def run() -> None:
        made = machine()
        store = SqliteStore.open(tmp_path / "store.db", made.plan())
        try:
            found = await export(store, "a")
        finally:
            await store.close()
        held = [one for one in found.messages if one.step in ("check", "grant", "fail") and one.body]
        assert len(held) == 6
        assert len([one for one in found.messages if one.step == "_release" and one.body]) >= 6
        replay = await Replayer(made).replay(found)
        assert replay.identical, replay.differences
        assert replay.events == len(found.events) >= 6
        checked = next(one for one in held if one.step == "check")
        edited = found.model_copy(update={"messages": tuple(one for one in found.messages if one is not checked)})
        assert not (await Replayer(made).replay(edited)).identical

    asyncio.run(run())
