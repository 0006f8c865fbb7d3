"""Goal: what is read from a store is what its threads did. Method: known turns, each answer against its definition."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from relmachine.errors import Code, RelmError
from relmachine.kernel.standing import fiber_of
from relmachine.store import reading
from relmachine.store.sqlite import SqliteReading, SqliteStore
from tests.contract.store_turns import Desk
from tests.unit.store.stored import ask, filled


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("store") / "store.db"
    filled(place)
    return place


def test_figures_count_what_happened(path: Path) -> None:
    assert ask(path, reading.figures) == {
        "threads": 2,
        "published": 15,
        "committed": 11,
        "rejected": 4,
        "rejected_by": {"id_conflict": 1, "requires": 3},
        "orderings": 2,
        "histories": 2,
        "newly_settled": 5,
        "superseded": 2,
        "settled": 3,
        "settled_by_claim": {"checked": 1, "received": 2},
        "fibers": 4,
        "fibers_small": 4,
        "fibers_largest": 7,
    }
    assert ask(path, reading.totals) == reading.Totals(11, 4)


def test_orderings_that_differ_by_independent_neighbours_are_one_history(tmp_path: Path) -> None:
    async def figures() -> dict[str, object]:
        made = Desk.new()
        store = SqliteStore.open(tmp_path / "store.db", made.plan)
        steps = made.steps
        orders = {"a": ("receive", "note", "check"), "b": ("receive", "check", "note"), "c": ("note", "receive")}
        for thread, names in orders.items():
            await store.commit([made.turn(thread, *(steps.admitted(thread, name) for name in names))])
        await store.commit([made.turn("d", steps.refused("d", "check"))])
        found = await reading.figures(store)
        await store.close()
        return found

    found = asyncio.run(figures())
    assert (found["threads"], found["orderings"], found["histories"]) == (4, 4, 3)


def test_figures_of_an_empty_store(tmp_path: Path) -> None:
    async def figures() -> dict[str, object]:
        store = SqliteStore.open(tmp_path / "store.db", Desk.new().plan)
        found = await reading.figures(store)
        await store.close()
        return found

    found = asyncio.run(figures())
    assert found["rejected_by"] == found["settled_by_claim"] == {}
    assert {value for name, value in found.items() if not name.endswith("_by") and name != "settled_by_claim"} == {0}


def test_threads_and_where_they_stand(path: Path) -> None:
    lines = ask(path, reading.threads)
    assert isinstance(lines, list)
    assert [(line.thread, line.label, line.sequence, line.depth, line.rejections) for line in lines] == [
        ("a", "a", 9, 5, 1),
        ("b%20c", "b c", 15, 6, 3),
    ]
    assert ask(path, lambda store: reading.newest_threads(store, 1)) == [lines[1]]
    standing = ask(path, lambda store: reading.thread(store, "b%20c"))
    assert isinstance(standing, reading.ThreadStanding)
    assert standing.line == lines[1]
    assert standing.normal_form == "(doubt receive)(check opine)(decide)(adjust)"
    assert standing.settled == ("received",)
    made = Desk.new()
    asserted = made.plan.claim_mask("received", "checked", "decided", "opinion")
    assert standing.fiber == fiber_of(made.plan, asserted).fiber_id


def test_events_in_subject_order_with_their_past(path: Path) -> None:
    events = ask(path, lambda store: reading.events(store, "b%20c"))
    assert isinstance(events, list)
    assert [event.step for event in events] == ["receive", "check", "decide", "opine", "adjust", "doubt"]
    assert events[0].payload["union"] == "zoe"
    assert events[0].evidence["principal"] == "officer"
    known: set[str] = set()
    for event in events:
        assert set(event.parents) <= known
        known.add(event.event)
    first = ask(path, lambda store: reading.events(store, "b%20c", events[1].history))
    assert first == events[:2]
    assert ask(path, lambda store: reading.events(store, "b%20c", 5)) == events[:1]
    assert ask(path, lambda store: reading.events(store, "b%20c", 0)) == []


def test_normal_form_and_settled_at_a_point(path: Path) -> None:
    async def at(store: SqliteReading) -> list[tuple[str, list[str]]]:
        return [
            (await reading.normal_form(store, "b%20c", point), await reading.settled(store, "b%20c", point))
            for point in (0, 4, 6, 10, 12, None)
        ]

    assert ask(path, at) == [
        ("", []),
        ("(receive)", ["received"]),
        ("(receive)(check)", ["checked", "received"]),
        ("(receive)(check)(decide)", ["checked", "decided", "received"]),
        ("(receive)(check opine)(decide)(adjust)", ["received"]),
        ("(doubt receive)(check opine)(decide)(adjust)", ["received"]),
    ]


def test_a_point_is_a_sequence_a_history_or_now(path: Path) -> None:
    async def points(store: SqliteReading) -> list[reading.Point]:
        now = await reading.resolve(store, "a")
        genesis = await reading.resolve(store, "a", 0)
        others = [await reading.resolve(store, "a", at) for at in (now.history, 8, genesis.history)]
        return [now, genesis, *others]

    now, genesis, by_history, by_sequence, by_genesis = ask(path, points)  # pyright: ignore[reportGeneralTypeIssues]
    assert (now.sequence, genesis.sequence, by_sequence.sequence) == (9, 0, 8)
    assert (by_history, by_genesis) == (now, genesis)
    assert ask(path, lambda store: reading.fiber(store, genesis.history)).points == ()  # pyright: ignore[reportAttributeAccessIssue]


def test_why_a_claim_holds_or_does_not(path: Path) -> None:
    async def answers(store: SqliteReading) -> dict[str, reading.Why]:
        return {name: await reading.why(store, "b%20c", name) for name in ("received", "checked", "decided", "opinion")}

    found = ask(path, answers)
    assert isinstance(found, dict)
    assert {name: str(why.claim.standing) for name, why in found.items()} == {
        "received": "settled",
        "checked": "contested",
        "decided": "unsupported",
        "opinion": "vetoed",
    }
    decided = found["decided"]
    assert decided.claim.asserted.sequence == 10
    assert decided.claim.requires == ("checked",)
    assert [line.claim for line in decided.rests_on] == ["checked", "received"]
    checked = decided.rests_on[0]
    assert (checked.asserted.sequence, checked.contested.sequence, checked.contested.step) == (6, 12, "adjust")
    assert checked.asserted.principal == "officer"
    assert found["opinion"].claim.vetoed.step == "doubt"
    absent = ask(path, lambda store: reading.why(store, "a", "opinion"))
    assert isinstance(absent, reading.Why)
    assert (str(absent.claim.standing), absent.claim.asserted) == ("absent", None)


def test_outcomes_of_single_steps(path: Path) -> None:
    rejections = ask(path, reading.rejections)
    assert isinstance(rejections, list)
    assert [(item.thread, item.sequence, item.step) for item in rejections] == [
        ("a", 2, "decide"),
        ("b%20c", 5, "decide"),
        ("b%20c", 13, "decide"),
        ("b%20c", 15, "decide"),
    ]
    assert rejections[0].witness == {"not_effective": ["checked"], "needs": ["checked"]}
    assert ask(path, lambda store: reading.rejections(store, "a")) == rejections[:1]
    assert ask(path, lambda store: reading.newest_rejections(store, 2)) == [rejections[3], rejections[2]]
    assert ask(path, lambda store: reading.rejection(store, "b%20c", 13)) == rejections[2]

    async def outcomes(store: SqliteReading) -> list[object]:
        committed = await reading.receipt_at(store, "a", 1)
        assert committed is not None
        assert await reading.receipt(store, "a", committed.step_key) == committed
        assert await reading.receipt_at(store, "b%20c", 13) is None, "refused without a key of its own"
        found = [await reading.outcome_at(store, "b%20c", sequence) for sequence in (4, 5, 13, 99)]
        return [None if outcome is None else (outcome["outcome"], outcome["sequence"]) for outcome in found]

    assert ask(path, outcomes) == [("committed", 4), ("refused", 5), ("refused", 13), None]


def test_threads_behind(path: Path) -> None:
    for last, behind in (({"a": 9, "b%20c": 15}, 0), ({"a": 10, "b%20c": 15}, 1), ({"a": 9, "new": 1}, 1), ({}, 0)):
        assert ask(path, lambda store, last=last: reading.threads_behind(store, last)) == behind


@pytest.mark.parametrize(
    "question",
    [
        lambda store: reading.thread(store, "nobody"),
        lambda store: reading.events(store, "nobody"),
        lambda store: reading.section(store, "a", "0" * 68),
        lambda store: reading.why(store, "a", "nothing"),
        lambda store: reading.rejection(store, "a", 1),
        lambda store: reading.fiber(store, "0" * 68),
    ],
)
def test_what_is_not_there_is_said(path: Path, question: Callable[[SqliteReading], Awaitable[object]]) -> None:
    with pytest.raises(RelmError) as refused:
        ask(path, question)
    assert refused.value.code is Code.NOT_FOUND


def test_rows_that_wait_for_feeds_are_counted_by_feed_from_the_oldest(path: Path) -> None:
    async def everything(store: SqliteReading) -> object:
        rows = (await store.select("SELECT kind, seq FROM outbox ORDER BY seq")).rows
        return rows, await reading.unsent_by_feed(store, 1000), await reading.unsent_by_feed(store, 3)

    rows, found, first = ask(path, everything)  # type: ignore[misc]
    for kind in ("journal", "out", "rejected"):
        sequences = [seq for of, seq in rows if of == kind]
        assert found[kind] == reading.UnsentRows(len(sequences), min(sequences))
    assert sum(unsent.rows for unsent in first.values()) == 3


def test_cursors_are_those_of_the_threads_and_nothing_for_others(path: Path) -> None:
    assert ask(path, lambda store: reading.cursors(store, ["b%20c", "nobody", "a"])) == {
        "a": 9,
        "b%20c": 15,
        "nobody": 0,
    }
