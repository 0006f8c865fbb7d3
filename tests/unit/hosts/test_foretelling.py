"""Goal: a store that is built again from the stream is the first one, also where threads were told something in the
middle. Method: threads that were cancelled, closed, paused, resumed and given budgets at many places, runs among them;
their messages and their effects, decided again in one go on an empty store, and every relation compared."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import orjson
import pytest

from relmachine.hosts.foretelling import foretell
from relmachine.kernel.answer import Reason
from relmachine.kernel.lane import Asked as Told
from relmachine.kernel.lane import Effect
from relmachine.kernel.state import dump_state, initial_state
from relmachine.machine.canonical import canonical_text
from relmachine.store.foretelling import ahead
from relmachine.store.port import Store
from relmachine.store.sqlite import SqliteStore
from relmachine.store.verify import verify
from relmachine.stream.follow import FeedMessage
from tests.unit.runs.incident import Asked, machine

RELATIONS = {
    "threads": "thread, label, head, epoch, seq, state, fenced",
    "thread_events": "*",
    "events": "event_id, step, step_key, tier, payload, contributions_digest, parents, lifecycle, verdicts",
    "histories": "history_id, depth, tier, normal_form_ref, fiber_id, section_digest",
    "claims": "*",
    "contributions": "*",
    "extensions": "*",
    "receipts": "*",
    "rejections": "*",
    "transitions": "*",
    "controls": "*",
    "runs": "*",
    "run_attempts": "*",
    "run_answers": "*",
    "run_ends": "*",
    "frozen_plans": "*",
    "control_effects": "*",
    "foretold": "*",
}
"""What turns and the lane make of the stream. Numbers of rows, and where commits end, depend on the rounds; but one
ends wherever its thread was told something."""


class Shop(Asked):
    """A workshop whose threads are told things; `lane` counts what they were told."""

    lane = 0

    async def tell(self, thread: str, record: str, *, refusal: str = "", key: str = "", **data: object) -> Effect:
        self.lane += 1
        text = "" if refusal and not data else canonical_text(data)
        found = await self.store.control([told(self, thread, self.lane, record, text, refusal, key)])
        self.rounds = self.node()
        return found[0]


def told(shop: Asked, thread: str, sequence: int, record: str, text: str, refusal: str = "", key: str = "") -> Told:
    state = initial_state(shop.plan, thread)
    name, evidence = key or f'["lane","{sequence}"]', '{"principal":"operator","time":"2026-01-02T03:04:05.000000Z"}'
    return Told(thread, sequence, record, name, text, evidence, refusal, thread, state.head, dump_state(state))


@dataclass
class Feed:
    """The feed of effects of a store, as it stands in its outbox; `few` at a time. `late` reads find nothing."""

    messages: Sequence[FeedMessage]
    late: int = 0
    few: int = 3

    @classmethod
    async def of(cls, store: Store, late: int = 0) -> Feed:
        rows = await store.select("SELECT thread, seq, body FROM outbox WHERE kind = 'effect' ORDER BY seq, thread")
        return cls(
            [
                FeedMessage(place, "effect", str(thread), int(str(seq)), str(body).encode(), store.store_id)
                for place, (thread, seq, body) in enumerate(rows.rows, 1)
            ],
            late,
        )

    async def end(self, kind: str) -> int:
        return len(self.messages)

    async def page(self, kind: str, thread: str, after: int) -> list[FeedMessage]:
        if self.late:
            self.late -= 1
            return []
        return list(self.messages[after : after + self.few])


async def relations(store: Store) -> dict[str, list[tuple[object, ...]]]:
    found: dict[str, list[tuple[object, ...]]] = {}
    for name, columns in RELATIONS.items():
        found[name] = sorted((await store.select(f"SELECT {columns} FROM {name}")).rows, key=repr)
    effects = "SELECT thread, seq, body FROM outbox WHERE kind = 'effect'"
    found["messages"] = sorted((await store.select(effects)).rows, key=repr)
    return found


async def lived(shop: Shop) -> None:
    """Threads that were told things before, between and after their steps."""
    no = orjson.dumps({"code": "policy_denied", "gate": "policy", "sentence": "", "witness": {}}).decode()
    await shop.tell("early", "dance", refusal=no)
    await shop.tell("early", "budget", tokens=7, cost=0.5)
    for thread in ("stopped", "closed", "rests", "resumed", "early", "spare"):
        shop.step(thread, "observe", symptom="slow")
        shop.step(thread, "note", noted=1)
    await shop.settle()
    await shop.tell("resumed", "pause", reason="look")
    await shop.tell("resumed", "budget", tokens=10**9, wall_seconds=1e6)
    await shop.tell("resumed", "resume", key='["lane","on"]')
    await shop.tell("resumed", "resume")
    one, two = (shop.step("resumed", "propose") for _ in range(2))
    kept = shop.step("spare", "propose")
    await shop.settle()
    for request in (one, two):
        found = await shop.tell("resumed", "cancel", reason="this run", request=request)
        assert found.outcome == "applied"
    shop.answer("resumed", one)
    shop.answer("resumed", two, reason=Reason.CANCELLED)
    shop.answer("spare", kept)
    await shop.settle()
    await shop.tell("stopped", "cancel", reason="enough", key='["lane","again"]')
    await shop.tell("stopped", "cancel", reason="enough", key='["lane","again"]')
    await shop.tell("closed", "close", reason="done")
    state = (await shop.store.states(["spare"]))["spare"]
    shop.fork("branch", "spare", state.head, state.cursor)
    for thread in ("stopped", "closed", "resumed", "early", "spare", "branch"):
        shop.step(thread, "note", noted=2)
    await shop.settle()
    await shop.tell("branch", "close", reason="merged by hand")
    await shop.tell("branch", "cancel", reason="for good")
    await shop.tell("spare", "budget", tool_calls=3)
    for thread in ("branch", "spare", "early"):
        shop.step(thread, "note", noted=3)
    await shop.settle()
    await shop.tell("rests", "pause", reason="until tomorrow")
    shop.merge("early", "spare")


async def settled(shop: Asked) -> None:
    """Everything decided but what waits in a thread that rests."""
    await shop.settle()
    shop.step("rests", "note", noted=9)
    await shop.rounds.run(["rests"])


def on_two(folder: Path, work: Callable[[Shop, Asked], Awaitable[None]]) -> None:
    """`work` with a store whose threads lived, and an empty one on the same stream."""

    async def run() -> None:
        plan = machine().plan()
        first, again = (SqliteStore.open(folder / f"{name}.db", plan) for name in ("first", "again"))
        try:
            shop = Shop(plan, first)
            await lived(shop)
            await settled(shop)
            rebuilt = Asked(plan, again, shop.stream)
            await work(shop, rebuilt)
        finally:
            await first.close()
            await again.close()

    asyncio.run(run())


@pytest.mark.parametrize("seed", range(4))
def test_a_store_built_again_is_the_first_one(tmp_path: Path, seed: int) -> None:
    async def work(shop: Shop, rebuilt: Asked) -> None:
        feed, rng = await Feed.of(shop.store), Random(seed)
        feed.few = 3 if seed else 100
        assert await foretell(shop.plan, rebuilt.store, feed) == shop.lane
        rests = shop.stream.threads["rests"].pop()
        rebuilt.stream.messages.remove(rests)
        await rebuilt.settle(rng if seed else None)
        rebuilt.stream.messages.append(rests)
        shop.stream.threads["rests"].append(rests)
        before, after = await relations(shop.store), await relations(rebuilt.store)
        for name, rows in before.items():
            assert after[name] == rows, name
        assert len(before["control_effects"]) == shop.lane and len(before["events"]) > 12
        for store in (shop.store, rebuilt.store):
            assert (report := await verify(store)).fault is None, report.fault
        assert await foretell(shop.plan, rebuilt.store, feed) == 0, "it has moved"

    on_two(tmp_path, work)


def test_without_what_was_foretold_histories_are_lost(tmp_path: Path) -> None:
    async def work(shop: Shop, rebuilt: Asked) -> None:
        for message in (await Feed.of(shop.store)).messages:
            control = orjson.loads(message.body)["control"]
            if control["record"] == "cancel" and "request" not in control["payload"]:
                text = orjson.dumps(control["payload"]).decode()
                await rebuilt.store.control([told(rebuilt, message.thread, control["sequence"], "cancel", text)])
        assert (await relations(shop.store))["events"] != (await relations(rebuilt.store))["events"]

    on_two(tmp_path, work)


def test_it_is_told_again_after_a_crash_and_by_two_nodes(tmp_path: Path) -> None:
    async def work(shop: Shop, rebuilt: Asked) -> None:
        whole = await Feed.of(shop.store, late=1)
        half = Feed(whole.messages[: len(whole.messages) // 2])
        await foretell(shop.plan, rebuilt.store, half)
        await foretell(shop.plan, rebuilt.store, whole)
        first = await relations(rebuilt.store)
        await foretell(shop.plan, rebuilt.store, whole)
        assert await relations(rebuilt.store) == first

    on_two(tmp_path, work)


def test_a_store_is_not_told_what_it_told_itself(tmp_path: Path) -> None:
    async def work(shop: Shop, rebuilt: Asked) -> None:
        feed = await Feed.of(shop.store)
        for store in (rebuilt.store.store_id, ""):
            own = Feed([replace(message, store=store) for message in feed.messages])
            assert await foretell(shop.plan, rebuilt.store, own) == 0

    on_two(tmp_path, work)


def test_what_comes_anew_waits_until_its_thread_is_built_again(tmp_path: Path) -> None:
    async def work(shop: Shop, rebuilt: Asked) -> None:
        await foretell(shop.plan, rebuilt.store, await Feed.of(shop.store))
        anew = told(rebuilt, "stopped", 77, "pause", '{"reason":"late"}')
        assert list(await rebuilt.store.control([anew])) == []
        assert ("stopped", 77) not in await ahead(rebuilt.store, ["stopped"])
        assert {thread for thread, _ in await ahead(rebuilt.store, ["stopped", "nobody"])} == {"stopped"}
        await rebuilt.rounds.run(["stopped"])
        (effect,) = await rebuilt.store.control([anew])
        assert effect.outcome == "unchanged", "it is stopped"

    on_two(tmp_path, work)


def test_a_turn_that_goes_past_is_refused_by_the_store(tmp_path: Path) -> None:
    async def work(shop: Shop, rebuilt: Asked) -> None:
        await foretell(shop.plan, rebuilt.store, await Feed.of(shop.store))
        connection = rebuilt.store._writer.connection  # pyright: ignore
        past = "INSERT INTO commits SELECT thread, head, 0, 0, 'x', 999 FROM threads WHERE thread = 'stopped'"
        with pytest.raises(Exception, match="a turn ends where its thread was told something"):
            connection.execute(past)
        for statement in ("UPDATE foretold SET place = 9", "DELETE FROM foretold"):
            with pytest.raises(Exception, match="write_once: foretold"):
                connection.execute(statement)

    on_two(tmp_path, work)
