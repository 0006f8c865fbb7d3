"""Goal: every committed row reaches the feeds in order and is dropped only after it left. Method: scripted feeds that
fail or take only a part, and a store that keeps what it was told to drop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from relmachine.hosts import relay as relay_module
from relmachine.hosts.relay import Relay
from relmachine.kernel.outcome_rows import OutboxRow


def row(seq: int) -> OutboxRow:
    return OutboxRow("t", seq, "out", "{}")


class ScriptedFeeds:
    """Takes at most `takes[i]` rows at the i-th call, everything after; None is a lost stream; never of `stuck`."""

    def __init__(self, *takes: int | None, stuck: str = "") -> None:
        self.takes, self.stuck = list(takes), stuck
        self.left: list[OutboxRow] = []

    async def emit(self, rows: Sequence[OutboxRow]) -> Sequence[OutboxRow]:
        take = self.takes.pop(0) if self.takes else len(rows)
        if take is None:
            raise ConnectionError("stream away")
        taken = [item for item in rows if item.thread != self.stuck][:take]
        self.left.extend(taken)
        return taken


class ScriptedStore:
    """An outbox; keeps what was dropped."""

    def __init__(self, *leftovers: OutboxRow) -> None:
        self.rows = list(leftovers)
        self.dropped: list[OutboxRow] = []
        self.asked: list[Sequence[str] | None] = []
        self.most_bytes = 0
        self.changed = asyncio.Condition()

    async def unsent(
        self, limit: int, threads: Sequence[str] | None = None, bytes_max: int = 1_000_000
    ) -> Sequence[OutboxRow]:
        self.asked.append(threads)
        await asyncio.sleep(0)  # a store answers later
        there = [item for item in self.rows if item not in self.dropped]
        found: list[OutboxRow] = []
        for item in (item for item in there if threads is None or item.thread in threads):
            if len(found) == limit or sum(len(one.body) for one in found) >= bytes_max:
                break
            found.append(item)
        self.most_bytes = max(self.most_bytes, sum(len(one.body) for one in found))
        return found

    async def commit(self, proposals: Sequence[Any], sent: Sequence[OutboxRow] = ()) -> Sequence[Any]:
        async with self.changed:
            self.dropped.extend(sent)
            self.changed.notify_all()
        return []

    async def until_dropped(self, count: int) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: len(self.dropped) >= count)


def commit(store: ScriptedStore, relay: Relay, rows: Sequence[OutboxRow]) -> None:
    """What a round does: the rows are durable, then the relay hears of them."""
    store.rows.extend(rows)
    relay.put(rows)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(relay_module, "QUIET_SECONDS", 0.01)


@pytest.mark.parametrize("takes", [(), (1, 2), (None, 3, None), (0, 0, 5)])
def test_rows_leave_in_order_whatever_the_stream_does(takes: tuple[int | None, ...]) -> None:
    async def work() -> None:
        store, feeds = ScriptedStore(), ScriptedFeeds(*takes)
        relay = Relay(store, feeds)  # type: ignore[arg-type]
        relay.start()
        rows = [row(seq) for seq in range(1, 8)]
        commit(store, relay, rows[:3])
        await asyncio.wait_for(store.until_dropped(3), 10)
        commit(store, relay, rows[3:])
        await asyncio.wait_for(store.until_dropped(len(rows)), 10)
        await relay.close()
        assert feeds.left == rows
        assert store.dropped == rows
        assert relay.waiting == 0

    asyncio.run(work())


def test_a_subject_that_takes_nothing_blocks_no_other() -> None:
    async def work() -> None:
        stuck = [OutboxRow("stuck", seq, "out", "{}") for seq in range(1, 2 * relay_module.ROWS_PER_EMIT_MAX)]
        store, feeds = ScriptedStore(*stuck), ScriptedFeeds(stuck="stuck")
        relay = Relay(store, feeds)  # type: ignore[arg-type]
        relay.start()
        commit(store, relay, [row(1)])
        await asyncio.wait_for(store.until_dropped(1), 10)
        await relay.close()
        assert feeds.left == [row(1)]

    asyncio.run(work())


def test_what_an_earlier_life_left_leaves_first() -> None:
    async def work() -> None:
        store, feeds = ScriptedStore(row(1), row(2)), ScriptedFeeds()
        relay = Relay(store, feeds)  # type: ignore[arg-type]
        relay.start()
        commit(store, relay, [row(3)])
        await asyncio.wait_for(store.until_dropped(3), 10)
        await relay.close()
        assert feeds.left == [row(1), row(2), row(3)]

    asyncio.run(work())


def test_what_does_not_fit_into_memory_is_read_from_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "ROWS_WAITING_MAX", 3)

    async def work() -> None:
        store, feeds = ScriptedStore(), ScriptedFeeds(None)
        relay = Relay(store, feeds)  # type: ignore[arg-type]
        relay.start()
        rows = [row(seq) for seq in range(1, 20)]
        for item in rows:
            commit(store, relay, [item])
            await asyncio.sleep(0)
        await asyncio.wait_for(store.until_dropped(len(rows)), 10)
        assert feeds.left == rows
        await relay.close()

    asyncio.run(work())


def test_a_commit_that_fails_leaves_the_rows_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "QUIET_SECONDS", 60)

    async def work() -> None:
        store = ScriptedStore()
        relay = Relay(store, ScriptedFeeds())  # type: ignore[arg-type]
        relay.start()
        commit(store, relay, [row(1)])
        async with asyncio.timeout(10):
            while relay.waiting or not relay._sent:  # noqa: ASYNC110
                await asyncio.sleep(0)
        with pytest.raises(ConnectionError), relay.dropping() as sent:
            assert list(sent) == [row(1)]
            raise ConnectionError
        with relay.dropping() as sent:
            assert list(sent) == [row(1)]
        with relay.dropping() as sent:
            assert list(sent) == []
        await relay.close()

    asyncio.run(work())


def test_closing_ends_while_rows_come_and_while_the_stream_is_away() -> None:
    async def work() -> None:
        for feeds in (ScriptedFeeds(), ScriptedFeeds(*[None] * 1000)):
            store = ScriptedStore()
            relay = Relay(store, feeds)  # type: ignore[arg-type]
            relay.start()
            await asyncio.sleep(0.03)
            commit(store, relay, [row(1)])
            await asyncio.wait_for(relay.close(), 10)

    asyncio.run(work())


def test_what_another_node_left_of_a_thread_goes_before_this_nodes_rows() -> None:
    async def work() -> None:
        store, feeds = ScriptedStore(), ScriptedFeeds()
        relay = Relay(store, feeds)  # type: ignore[arg-type]
        relay.start()
        commit(store, relay, [OutboxRow("other", 1, "out", "{}")])
        await asyncio.wait_for(store.until_dropped(1), 10)
        store.rows.extend([row(1), row(2)])  # committed by a node that died before it sent them
        store.rows.append(row(3))
        relay.put([row(3)], {"t"})
        store.rows.append(row(4))
        relay.put([row(4)])  # hot by now, its predecessors not yet
        await asyncio.wait_for(store.until_dropped(5), 10)
        await relay.close()
        assert [item.seq for item in feeds.left if item.thread == "t"] == [1, 2, 3, 4]
        assert store.asked == [None, ["t"]]

    asyncio.run(work())


def test_rows_that_nobody_sends_are_adopted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "ORPHAN_SECONDS", 0.02)

    async def work() -> None:
        store, feeds = ScriptedStore(), ScriptedFeeds()
        relay = Relay(store, feeds)  # type: ignore[arg-type]
        relay.start()
        commit(store, relay, [OutboxRow("other", 1, "out", "{}")])
        await asyncio.wait_for(store.until_dropped(1), 10)
        store.rows.extend([row(1), row(2)])
        await asyncio.wait_for(store.until_dropped(3), 10)
        await relay.close()
        assert feeds.left[1:] == [row(1), row(2)]

    asyncio.run(work())


def test_stuck_subjects_delay_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "RETRY_SECONDS", 30.0)

    async def work() -> None:
        stuck = [OutboxRow("stuck", seq, kind, "{}") for seq in range(1, 2000) for kind in ("out", "journal")]
        store, feeds = ScriptedStore(*stuck), ScriptedFeeds(stuck="stuck")
        relay = Relay(store, feeds)  # type: ignore[arg-type]
        relay.start()
        for seq in range(1, 4):
            commit(store, relay, [row(seq)])
            await asyncio.wait_for(store.until_dropped(seq), 5)
        await relay.close()
        assert feeds.left == [row(1), row(2), row(3)]

    asyncio.run(work())


def test_large_rows_are_read_and_kept_within_the_bound_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "BYTES_WAITING_MAX", 3000)

    async def work() -> None:
        rows = [OutboxRow("t", seq, "out", "x" * 1000) for seq in range(1, 30)]
        store, feeds = ScriptedStore(*rows[:10]), ScriptedFeeds(None)
        relay = Relay(store, feeds)  # type: ignore[arg-type]
        relay.start()
        await asyncio.wait_for(store.until_dropped(10), 10)
        assert store.most_bytes == 3000
        for item in rows[10:]:
            commit(store, relay, [item])
        assert relay.waiting <= 4, "more than the bound and one"
        await asyncio.wait_for(store.until_dropped(len(rows)), 10)
        await relay.close()
        assert feeds.left == rows
        assert relay._queued.bytes == 0

    asyncio.run(work())


def test_a_store_full_of_rows_that_no_feed_takes_is_not_asked_without_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "ROWS_WAITING_MAX", 50)
    monkeypatch.setattr(relay_module, "RETRY_SECONDS", 30.0)

    async def work() -> None:
        store = ScriptedStore(*(OutboxRow("stuck", seq, "out", "{}") for seq in range(1, 200)))
        feeds = ScriptedFeeds(stuck="stuck")
        relay = Relay(store, feeds)  # type: ignore[arg-type]
        relay.start()
        for seq in range(1000, 1100):
            commit(store, relay, [row(seq)])
            await asyncio.sleep(0.001)
        assert len(store.asked) <= 2, "once for what there is, once more for what came meanwhile"
        await asyncio.wait_for(relay.close(), 10)

    asyncio.run(work())


def test_closing_waits_no_longer_for_the_store_than_for_the_feeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "CLOSE_SECONDS_MAX", 0.05)
    monkeypatch.setattr(relay_module, "QUIET_SECONDS", 60)

    class Away(ScriptedStore):
        async def commit(self, proposals: Sequence[Any], sent: Sequence[OutboxRow] = ()) -> Sequence[Any]:
            return await asyncio.Future()

    async def work() -> None:
        store, feeds = Away(), ScriptedFeeds()
        relay = Relay(store, feeds)  # type: ignore[arg-type]
        relay.start()
        commit(store, relay, [row(1)])
        async with asyncio.timeout(10):
            while not relay._sent:  # noqa: ASYNC110
                await asyncio.sleep(0)
        await asyncio.wait_for(relay.close(), 5)
        assert relay._sent == [row(1)], "the store still has it, and so does who would drop it"

    asyncio.run(work())
