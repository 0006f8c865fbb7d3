"""Goal: a step that defers waits until what it needs is effective, and gets one outcome, by its release. Method: steps
and releases in every order that matters through whole rounds on an embedded store, which is verified after each."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from relmachine.algebra.identity import hash_of
from relmachine.kernel.limits import Limits
from relmachine.store.held import held_lines
from tests.unit.held.desk import Desk, on_store


def test_a_step_that_comes_too_early_is_held_and_released(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        early = desk.step("t", "check", who="ann")
        desk.step("t", "note", noted=1)
        await desk.decide()
        assert await desk.found(early) == ("held", early)
        assert await desk.table("SELECT step FROM events") == [{"step": "note"}]
        (line,) = await held_lines(desk.store, "t")
        assert (line.sequence, line.step, line.missing) == (early, "check", ("received",))

        enabling = desk.step("t", "receive")
        later = desk.step("t", "note", noted=2)
        await desk.decide()
        (row,) = await desk.table("SELECT seq, body FROM outbox WHERE kind = 'step'")
        (record,) = orjson.loads(str(row["body"]))
        ((event,),) = await desk.store.deciding("SELECT event_id FROM thread_events WHERE seq = ?", (enabling,))
        assert (record["type"], record["data"], record["id"]) == (
            "_release",
            {"held": early},
            f"{hash_of(event)}/{early}",
        )
        (release,) = await desk.deliver()
        await desk.decide()
        assert await desk.found(early) == ("committed", release) == await desk.found(release)
        rows = await desk.table("SELECT seq, at_seq, lifecycle FROM held_ends")
        assert rows == [{"seq": early, "at_seq": release, "lifecycle": "OPEN>ACTIVE>COMMIT>CLOSE"}]
        assert await desk.table("SELECT value FROM contributions WHERE field = 'officer'") == [{"value": '"ann"'}]
        assert await held_lines(desk.store) == [] and later < release

    on_store(tmp_path, work)


def test_what_is_there_already_is_not_waited_for(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        desk.step("t", "receive")
        check = desk.step("t", "check", who="ann")
        await desk.run_out()
        assert await desk.found(check) == ("committed", check)
        assert await desk.table("SELECT * FROM held") == []
        ((state,),) = await desk.store.deciding("SELECT state FROM threads", ())
        assert "waiting" not in str(state)

    on_store(tmp_path, work)


def test_a_release_may_make_room_for_the_next(tmp_path: Path) -> None:
    """A closure that runs at the release sees what is there then, and what it proposes leaves."""

    async def work(desk: Desk) -> None:
        grant, check = desk.step("t", "grant"), desk.step("t", "check", who="ann")
        for step in ("pay", "receive"):
            desk.step("t", step)
        desk.step("t", "note", noted=7)
        await desk.run_out()
        assert [(await desk.found(one))[0] for one in (grant, check)] == ["committed", "committed"]
        assert await desk.table("SELECT value FROM contributions WHERE field = 'seen'") == [{"value": "7"}]
        assert len(await desk.table("SELECT * FROM events WHERE step = 'note'")) == 2

    on_store(tmp_path, work)


def test_what_is_missing_again_is_waited_for_again(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        early = desk.step("t", "check", who="ann")
        desk.step("t", "receive")
        desk.step("t", "withdraw")
        await desk.decide()
        (release,) = await desk.deliver()
        await desk.decide()
        assert await desk.found(early) == ("held", early)
        assert (await desk.found(release))[0] == "applied"
        desk.step("t", "receive")
        await desk.decide()
        (second,) = await desk.deliver()
        await desk.decide()
        assert await desk.found(early) == ("committed", second)

    on_store(tmp_path, work)


def test_a_release_is_refused_for_any_other_reason(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        one, other, fails = (
            desk.step("t", "check", who="ann"),
            desk.step("t", "check", who="bob"),
            desk.step("t", "fail"),
        )
        desk.step("t", "receive")
        await desk.run_out()
        assert (await desk.found(one))[0] == "committed"
        assert await desk.found(other) == ("refused", "once")
        assert await desk.found(fails) == ("refused", "closure_failed")
        rows = await desk.table("SELECT seq, lifecycle FROM held_ends ORDER BY seq")
        assert [row["lifecycle"] for row in rows] == ["OPEN>ACTIVE>COMMIT>CLOSE", "", "OPEN>ACTIVE>ABORT>CLOSE"]

    on_store(tmp_path, work)


def test_only_what_is_missing_is_waited_for(tmp_path: Path) -> None:
    """Another law that speaks against the step refuses it at once, missing or not."""

    async def work(desk: Desk) -> None:
        desk.step("t", "receive")
        desk.step("t", "check", who="ann")
        desk.step("t", "withdraw")
        both = desk.step("t", "check", who="bob")
        bad = desk.step("t", "check", who=1)
        denied = desk.stream.publish("t", "check", desk.body("check", None, {"who": "ann"}, "nobody"))
        await desk.decide()
        codes = [await desk.found(one) for one in (both, bad, denied)]
        assert codes == [("refused", "requires"), ("refused", "payload_invalid"), ("refused", "policy_denied")]

    on_store(tmp_path, work)


def test_a_step_is_released_once(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        early = desk.step("t", "check", key="k", who="ann")
        again = desk.step("t", "check", key="k", who="ann")
        conflict = desk.step("t", "check", key="k", who="bob")
        hasty = desk.release("t", early)
        desk.step("t", "receive")
        first, late, never = (desk.release("t", held) for held in (early, early, 99))
        await desk.decide()
        assert (await desk.found(hasty))[0] == "applied"
        assert await desk.found(early) == ("committed", first)
        assert [await desk.found(one) for one in (late, never)] == [("refused", "held_unknown")] * 2
        assert await desk.found(conflict) == ("refused", "id_conflict")
        after = desk.step("t", "check", key="k", who="ann")
        await desk.run_out()
        assert len(await desk.table("SELECT * FROM events WHERE step = 'check'")) == 1
        assert len(await desk.table("SELECT * FROM receipts WHERE seq IN (?, ?)", again, after)) == 0

    on_store(tmp_path, work)


@pytest.mark.parametrize("expired_first", [True, False])
def test_the_first_record_on_the_stream_decides_whether_it_was_too_long(tmp_path: Path, expired_first: bool) -> None:
    async def work(desk: Desk) -> None:
        early = desk.step("t", "check", who="ann")
        desk.step("t", "receive")
        records = [desk.release("t", early, expired=expired) for expired in (expired_first, not expired_first)]
        await desk.decide()
        wanted = ("refused", "held_too_long") if expired_first else ("committed", records[0])
        assert await desk.found(early) == wanted
        assert await desk.found(records[1]) == ("refused", "held_unknown")

    on_store(tmp_path, work)


def test_so_many_steps_of_a_thread_may_wait(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        early = [desk.step("t", "check", who="ann") for _ in range(3)]
        await desk.decide()
        assert [(await desk.found(one))[1] for one in early] == [early[0], early[1], "limit_exceeded"]
        desk.release("t", early[0], expired=True)
        late = [desk.step("t", "check", who="ann") for _ in range(2)]
        await desk.decide()
        assert [(await desk.found(one))[1] for one in late] == [late[0], "limit_exceeded"]

    on_store(tmp_path, work, Limits(held_per_thread_max=2))


def test_a_thread_that_ends_drops_what_waits_and_gives_none_of_it_away(tmp_path: Path) -> None:
    """A merge joins events: what waits in its source is refused, what waits in its target may be enabled by it."""

    async def work(desk: Desk) -> None:
        base = desk.step("t", "note", noted=1)
        await desk.decide()
        head = await desk.head("t")
        desk.fork("u", "t", head, base)
        await desk.settle()
        theirs = desk.step("u", "grant")
        ours = desk.step("t", "check", key="same", who="ann")
        desk.step("u", "receive")
        await desk.settle()
        desk.merge("t", "u")
        await desk.settle()
        left = desk.release("u", theirs, expired=True)
        await desk.settle()
        assert await desk.found(theirs, "u") == ("refused", "thread_closed") == await desk.found(left, "u")
        await desk.run_out("t")
        assert (await desk.found(ours))[0] == "committed"

    on_store(tmp_path, work)


def test_a_step_that_a_merge_brought_is_not_done_twice(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        base = desk.step("t", "note", noted=1)
        await desk.decide()
        desk.fork("u", "t", await desk.head("t"), base)
        await desk.settle()
        ours = desk.step("t", "check", key="same", who="ann")
        desk.step("u", "receive")
        desk.step("u", "check", key="same", who="ann")
        await desk.settle()
        desk.merge("t", "u")
        await desk.settle()
        await desk.run_out("t")
        assert await desk.found(ours) == ("refused", "id_conflict")
        assert len(await desk.table("SELECT * FROM thread_events WHERE thread = 't'")) == 3

    on_store(tmp_path, work)
