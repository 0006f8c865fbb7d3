"""Goal: every committed row reaches the feeds in order and is dropped only after it left. Method: scripted feeds that
fail or take only a part, and a store that keeps what it was told to drop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from relmachine.hosts import relay as relay_module
from relmachine.hosts.relay import Relay
from relmachine.kernel.proposal import OutboxRow


def row(seq: int) -> OutboxRow:
    return OutboxRow("t", seq, "out", "{}")


class ScriptedFeeds:
    """Takes at most `takes[i]` rows at the i-th call, everything after; None is a lost stream."""

    def __init__(self, *takes: int | None) -> None:
        self.takes = list(takes)
        self.left: list[OutboxRow] = []

    async def emit(self, rows: Sequence[OutboxRow]) -> Sequence[OutboxRow]:
        take = self.takes.pop(0) if self.takes else len(rows)
        if take is None:
            raise ConnectionError("stream away")
        self.left.extend(rows[:take])
        return rows[:take]


class ScriptedStore:
    """An outbox with leftovers; keeps what was dropped, and can refuse to commit."""

    def __init__(self, *leftovers: OutboxRow) -> None:
        self.rows = list(leftovers)
        self.dropped: list[OutboxRow] = []
        self.changed = asyncio.Condition()

    async def unsent(self, limit: int) -> Sequence[OutboxRow]:
        return [item for item in self.rows if item not in self.dropped][:limit]

    async def commit(self, proposals: Sequence[Any], sent: Sequence[OutboxRow] = ()) -> Sequence[Any]:
        async with self.changed:
            self.dropped.extend(sent)
            self.changed.notify_all()
        return []

    async def until_dropped(self, count: int) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: len(self.dropped) >= count)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(relay_module, "QUIET_SECONDS", 0.01)


@pytest.mark.parametrize("takes", [(), (1, 2), (None, 3, None), (0, 0, 5)])
def test_rows_leave_in_order_whatever_the_stream_does(takes: tuple[int | None, ...]) -> None:
    async def work() -> None:
        store, feeds = ScriptedStore(), ScriptedFeeds(*takes)
        relay = Relay(store, feeds)  # type: ignore[arg-type]
        await relay.start()
        rows = [row(seq) for seq in range(1, 8)]
        relay.put(rows)
        await asyncio.wait_for(store.until_dropped(len(rows)), 10)
        await relay.close()
        assert feeds.left == rows
        assert store.dropped == rows
        assert relay.waiting == 0

    asyncio.run(work())


def test_what_an_earlier_life_left_leaves_first() -> None:
    async def work() -> None:
        store, feeds = ScriptedStore(row(1), row(2)), ScriptedFeeds()
        relay = Relay(store, feeds)  # type: ignore[arg-type]
        await relay.start()
        relay.put([row(3)])
        await relay.close()
        assert feeds.left == [row(1), row(2), row(3)]

    asyncio.run(work())


def test_a_commit_that_fails_leaves_the_rows_for_the_next() -> None:
    async def work() -> None:
        relay = Relay(ScriptedStore(), ScriptedFeeds())  # type: ignore[arg-type]
        relay.put([row(1)])
        await relay._emit_all()
        with pytest.raises(ConnectionError), relay.dropping() as sent:
            assert list(sent) == [row(1)]
            raise ConnectionError
        with relay.dropping() as sent:
            assert list(sent) == [row(1)]
        with relay.dropping() as sent:
            assert list(sent) == []

    asyncio.run(work())
