"""Goal: laws of the author's own are never asked with less of a thread than it has. Method: a store in memory that
counts what it is asked and can fail, threads that are loaded, advanced, dropped and flooded; where a law cannot be told
all it sees it refuses, however turns are cut and whatever was kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest

from relmachine.errors import Code
from relmachine.gates.own_law_past import Past
from relmachine.gates.own_law_scene import Sighting
from relmachine.gates.own_laws import OwnLaws
from relmachine.hosts import sightings
from relmachine.hosts.caches import Caches
from relmachine.hosts.sightings import HotSightings
from relmachine.kernel.limits import Limits
from relmachine.kernel.proposal import Proposal
from relmachine.kernel.state import ThreadState, initial_state
from relmachine.store.port import Store
from tests.unit.gates.own_law_desk import FOUR_EYES, case, desk, law

NOTES = law('guards("stop"). reads(step,"note").', "violation(N) :- N = #count { E : event(E) }, N > 99.")
REMARKS = law('guards("stop"). reads(field,"remark").', 'violation(E) :- value(E,"remark","no").')
PLAN = desk(four_eyes=FOUR_EYES, notes=NOTES, remarks=REMARKS).plan()
CHECKED = ("check", "c", '{"principal":"ann"}', "[]")


class Asked:
    """A store with the same events in every thread. It may fail once."""

    def __init__(self, *rows: tuple[str, str, str, str]) -> None:
        self.rows, self.asked, self.fails = rows, list[str](), False

    async def deciding(self, _sql: str, parameters: Sequence[object]) -> Sequence[tuple[str, ...]]:
        self.asked.append(str(parameters[0]))
        await asyncio.sleep(0)
        if self.fails:
            self.fails = False
            raise ConnectionError("away for a moment")
        return self.rows


def hot(store: Asked, limits: Limits | None = None) -> HotSightings:
    return HotSightings(PLAN, cast(Store, store), limits or Limits())


def state(thread: str, head: str = "h", depth: int = 1) -> ThreadState:
    return replace(initial_state(PLAN, thread), head=head, depth=depth)


async def load(seen: HotSightings, *states: ThreadState, step: str = "determine") -> list[list[str]]:
    """The events of each thread, by id."""
    found = await seen.load({one.thread: one for one in states}, {one.thread: [_fresh(step)] for one in states})
    return [[event.event for event in found.get(one.thread, ())] for one in states]


def _fresh(step: str) -> object:
    return SimpleNamespace(step=step)


def moved(
    before: ThreadState, after: ThreadState, *events: tuple[str, str, dict[str, str]], joins: bool = False
) -> Proposal:
    """A proposal as a turn makes it: steps with their ids and what they wrote."""
    made = SimpleNamespace(
        before=before,
        after=after,
        joins=joins,
        events=[SimpleNamespace(step=step, event_id=event) for step, event, _ in events],
        thread_events=[SimpleNamespace(evidence='{"principal":"eve"}') for _ in events],
        contributions=[(event, name, text) for _, event, pairs in events for name, text in pairs.items()],
    )
    return cast(Proposal, made)


def test_a_read_that_fails_leaves_no_thread_without_a_past() -> None:
    async def work() -> None:
        store = Asked(CHECKED)
        store.fails, seen = True, hot(store)
        with pytest.raises(ConnectionError):
            await load(seen, state("t"))
        assert await load(seen, state("t")) == [["c"]]

    asyncio.run(work())


def test_more_threads_may_be_asked_for_than_are_kept() -> None:
    async def work() -> None:
        store = Asked(CHECKED)
        seen = hot(store, Limits(hot_values_threads_max=1))
        assert await load(seen, *(state(name) for name in "abc")) == [["c"], ["c"], ["c"]]
        await load(seen, state("c"))
        await load(seen, state("a"))
        assert store.asked == ["a", "b", "c", "a"]

    asyncio.run(work())


def test_no_more_is_kept_of_all_threads_than_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sightings, "SIGHTINGS_CHARACTERS_MAX", 8)

    async def work() -> None:
        store = Asked(CHECKED, ("check", "d", '{"principal":"bob"}', "[]"))  # six characters
        seen = hot(store)
        for name in "aabab":
            await load(seen, state(name))
        assert store.asked == ["a", "b", "a", "b"]

    asyncio.run(work())


def test_what_is_kept_grows_with_commits_as_a_read_would_find_it() -> None:
    """Also by what laws read alone: neither other steps nor other fields stay."""

    async def work() -> None:
        store = Asked(CHECKED)
        seen, first, second = hot(store), state("t", "h1"), state("t", "h2")
        await load(seen, first)
        written = {"amount": "5", "remark": '"no"'}
        seen.advance(moved(first, second, ("receive", "r", written), ("print_out", "p", {}), ("check", "d", {})))
        found = await seen.load({"t": second}, {"t": [cast(object, _fresh("stop"))]})  # type: ignore[list-item]
        assert found["t"] == (
            Sighting("check", "c", "ann", ()),
            Sighting("receive", "r", "eve", (("remark", '"no"'),)),
            Sighting("check", "d", "eve", ()),
        )
        assert store.asked == ["t"]

    asyncio.run(work())


def test_a_past_of_another_head_is_read_again_and_so_is_one_that_a_record_changed() -> None:
    async def work() -> None:
        store = Asked(CHECKED)
        seen, first, second = hot(store), state("t", "h1"), state("t", "h2")
        await load(seen, first)
        await load(seen, state("t", "elsewhere"))
        await load(seen, first)
        seen.advance(moved(state("t", "other"), second, ("check", "d", {})))
        assert await load(seen, second) == [["c"]]
        seen.advance(moved(second, first, ("check", "d", {}), joins=True))
        assert await load(seen, first) == [["c"]]
        seen.drop("t")
        await load(seen, first)
        assert len(store.asked) == 6

    asyncio.run(work())


def test_the_past_of_a_thread_that_a_record_changed_is_forgotten() -> None:
    """The host drops it where it takes a durable proposal, whatever the cache does with one."""
    dropped: list[str] = []
    states, values = SimpleNamespace(keep=list), SimpleNamespace(drop=lambda _: None)
    caches = Caches(cast(Any, states), cast(Any, values), cast(Any, SimpleNamespace(drop=dropped.append)))
    caches.advance([moved(state("t"), state("t"), joins=True)])
    assert dropped == ["t"]


def test_neither_a_new_thread_nor_a_step_that_no_law_guards_is_read_for() -> None:
    async def work() -> None:
        store = Asked(CHECKED)
        assert await load(hot(store), state("new", depth=0)) == [[]]
        assert await load(hot(store), state("t"), step="check") == [[]]
        assert store.asked == []

    asyncio.run(work())


@pytest.mark.parametrize("flood", ["note", "check"])
def test_a_law_that_cannot_be_told_all_it_sees_refuses_and_no_other_does(flood: str) -> None:
    """Thirty notes are more than the bound: the law that counts them refuses, the one that looks at checks judges."""
    limits = Limits(own_law_facts_max=8)
    rows = [(flood, f"n{number}", '{"principal":"eve"}', "[]") for number in range(30)]
    store = Asked(*rows, CHECKED)

    async def work() -> list[Sighting]:
        return list((await hot(store, limits).load({"t": state("t")}, {"t": [_fresh("stop")]}))["t"])  # type: ignore[list-item]

    laws = OwnLaws(PLAN, Limits(own_law_facts_max=8))
    try:
        kept = asyncio.run(work())
        whole = [Sighting(flood, f"n{number}", "eve", ()) for number in range(30)]
        whole.append(Sighting("check", "c", "ann", ()))
        assert len([event for event in kept if event.step == flood]) == 9
        for events in (kept, whole):
            determined, stopped = laws.decide(
                [case(PLAN, "determine", events, principal="ann"), case(PLAN, "stop", events)]
            )
            assert determined is not None
            assert determined.code is (Code.LAW_BROKEN if flood == "note" else Code.LAW_LIMIT)
            assert (stopped and stopped.code) == (Code.LAW_LIMIT if flood == "note" else None)
    finally:
        laws.close()


def test_events_that_say_nothing_to_a_law_do_not_hide_one_that_does() -> None:
    """They make no fact, so that nothing but their number is beyond a bound."""
    limits = Limits(own_law_facts_max=8)
    events = [Sighting("receive", f"r{number}", "eve", ()) for number in range(30)]
    events.append(Sighting("receive", "last", "eve", (("remark", '"no"'),)))
    laws = OwnLaws(PLAN, limits)
    try:
        refusals = [laws.decide([case(PLAN, "stop", some)])[0] for some in (Past(PLAN, limits, events).events, events)]
    finally:
        laws.close()
    for refusal in refusals:
        assert refusal is not None
        assert refusal.witness == {"law": "remarks", "limit": "own_law_facts_max", "own_law_facts_max": 8}


def test_large_values_count_as_many_events_do() -> None:
    limits = Limits(own_law_facts_bytes_max=50)
    events = [Sighting("receive", f"r{number}", "eve", (("remark", f'"{"x" * 20}"'),)) for number in range(9)]
    kept = Past(PLAN, limits, [*events, Sighting("receive", "last", "eve", (("remark", '"no"'),))]).events
    assert len(kept) == 3
    laws = OwnLaws(PLAN, limits)
    try:
        (refusal,) = laws.decide([case(PLAN, "stop", kept)])
    finally:
        laws.close()
    assert refusal is not None
    assert refusal.witness == {"law": "remarks", "limit": "own_law_facts_bytes_max", "own_law_facts_bytes_max": 50}
    assert orjson.dumps(refusal.witness)
