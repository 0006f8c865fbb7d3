"""Goal: a section is the fold of its contributions, however it is read. Method: random turns; the code's fold with and
without snapshots and the SQL view are held against the algebra."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relmachine.algebra.reducers import Scalar, fold, parse
from relmachine.kernel.limits import Limits
from relmachine.machine.canonical import canonical_text
from relmachine.machine.plan import Reducer
from relmachine.store import reading
from relmachine.store.snapshots import is_due, parse_snapshot, snapshot_text, still_counting
from relmachine.store.sqlite import SqliteStore
from relmachine.store.verify import verify
from tests.contract.store_turns import Desk


def _values(random: Random) -> dict[str, object]:
    """Contributions of one step: each field, or not."""
    values: dict[str, object] = {
        "union": random.choice(["ann", "bob", "zoe", "é", "", "Ann"]),
        "log": random.choice(["x", "y", "\n", "\u0000", '"']),
        "latest": f"20{random.randrange(100):02d}-01-01T00:00:00.{random.randrange(10**6):06d}Z",
        "least": random.choice([random.randrange(-9, 9), 2**53 - 1, -(2**53) + 1]),
        "count": random.randrange(-9, 9),
        "weight": random.choice([0, 0, 0.1, -2.5, 1e21, 3, round(random.uniform(-1e6, 1e6), 3)]),
    }
    return {name: value for name, value in values.items() if random.random() < 0.5}


@pytest.mark.parametrize("seed", range(5))
def test_reading_snapshots_and_the_view_agree_with_the_algebra(tmp_path: Path, seed: int) -> None:
    asyncio.run(_compare(tmp_path / "store.db", Random(seed)))


async def _compare(path: Path, random: Random) -> None:
    made = Desk.new()
    store = SqliteStore.open(path, made.plan, Limits(section_snapshot_every=2))
    written: dict[str, list[dict[str, object]]] = {thread: [] for thread in "abc"}
    expected: dict[str, tuple[str, dict[str, object]]] = {}
    for _ in range(8):
        turns = {thread: [_values(random) for _ in range(random.randrange(1, 4))] for thread in written}
        proposals = [
            made.turn(thread, *(made.steps.admitted(thread, "amend", **values) for values in turn))
            for thread, turn in turns.items()
        ]
        await store.commit(proposals)
        for proposal in proposals:
            thread = proposal.before.thread
            for place, values in zip(proposal.thread_events, turns[thread], strict=True):
                written[thread].append(values)
                expected[place.history_id] = thread, _folded(made, written[thread])
    views = dict((await store.select("SELECT history_id, section_data FROM accord_sections")).rows)
    assert views.keys() == expected.keys()
    for history, (thread, fields) in expected.items():
        assert dict((await reading.section(store, thread, history)).fields) == fields
        view = json.loads(str(views[history]))
        assert view.keys() == fields.keys()
        for name, value in fields.items():
            assert view[name] == value or (name == "weight" and view[name] is None), (name, view, fields)
    assert (await store.select("SELECT count(*) FROM section_snapshots")).rows[0][0] >= 6
    report = await verify(store)
    assert report.ok, report.fault
    await store.close()


def _folded(made: Desk, written: list[dict[str, object]]) -> dict[str, object]:
    names = {name for values in written for name in values}
    return {
        name: fold(
            made.plan.fields[name].reducer,
            [parse(canonical_text(values[name])) for values in written if name in values],
        )
        for name in names
    }


def test_a_sum_beyond_the_doubles_is_kept_whole(tmp_path: Path) -> None:
    async def test() -> None:
        made = Desk.new()
        store = SqliteStore.open(tmp_path / "store.db", made.plan, Limits(section_snapshot_every=2))
        heavy = [made.steps.admitted("a", "receive", weight=1e308) for _ in range(40)]
        for start in range(0, 40, 4):
            await store.commit([made.turn("a", *heavy[start : start + 4])])
        assert (await store.select("SELECT count(*) FROM section_snapshots")).rows == ((4,),)
        found = [(await reading.section(store, "a", at)).fields["weight"] for at in (1, 2, 39, None)]
        assert found == [1e308, "2e+308", "3.9e+309", "4e+309"]
        await store.commit([made.turn("a", *(made.steps.admitted("a", "receive", weight=-1e308) for _ in range(40)))])
        assert (await reading.section(store, "a")).fields["weight"] == 0
        report = await verify(store)
        assert report.ok, report.fault
        await store.close()

    asyncio.run(test())


@given(st.sampled_from(list(Reducer)), st.data())
def test_what_a_snapshot_drops_never_counts_again(reducer: Reducer, data: st.DataObject) -> None:
    kind = data.draw(
        st.sampled_from([st.integers(-(2**53), 2**53), st.floats(-1e9, 1e9), st.sampled_from([1e308, -1.7e308, 0.1])])
    )
    if reducer in (Reducer.UNION, Reducer.LOG):
        kind = st.text(max_size=3)
    values = data.draw(st.lists(kind, min_size=1, max_size=8))
    later = data.draw(st.lists(kind, max_size=8))
    if reducer is Reducer.ONCE:
        values, later = values[:1] * 3, values[:1]
    texts, later = ([canonical_text(value) for value in some if _carried(value)] for some in (values, later))
    if texts:
        kept = still_counting(reducer, texts)
        assert fold(reducer, _parsed([*kept, *later])) == fold(reducer, _parsed([*texts, *later]))
        text = snapshot_text({"field": texts}, {"field": reducer})
        assert parse_snapshot(text) == {"field": _parsed(kept)}
        assert text == canonical_text(parse_snapshot(text))


def _parsed(texts: list[str]) -> list[Scalar]:
    return [parse(text) for text in texts]


def _carried(value: object) -> bool:
    """Whether canonical JSON can carry it."""
    return not isinstance(value, int) or abs(value) < 2**53


def test_snapshots_cost_a_constant_share_of_a_long_thread() -> None:
    taken, last, read = [], 0, 0
    for depth in range(10, 10_001, 10):
        if is_due(depth, last, 256):
            read += depth
            taken.append(depth)
            last = depth
    assert len(taken) == 6
    assert read <= 2 * 10_000


def test_the_settled_section_leaves_out_what_is_not_settled(tmp_path: Path) -> None:
    async def test() -> None:
        made = Desk.new()
        store = SqliteStore.open(tmp_path / "store.db", made.plan)
        steps = made.steps
        await store.commit([made.opening("a")])
        await store.commit([made.turn("a", steps.admitted("a", "opine", log="maybe"), steps.admitted("a", "note"))])
        await store.commit([made.turn("a", steps.admitted("a", "adjust", union="eve"))])
        await store.commit([made.turn("a", steps.admitted("a", "guess", log="perhaps"))])
        settled = await reading.section(store, "a", settled_only=True)
        everything = await reading.section(store, "a")
        before = await reading.section(store, "a", 3, settled_only=True)
        await store.close()
        assert everything.fields["union"] == ["ann", "bob", "eve"]
        assert everything.fields["log"] == ["maybe", "perhaps"]
        assert settled.fields["union"] == ["ann", "eve"], "the check is contested; adjusting asserts nothing"
        assert "log" not in settled.fields, "a judgement never settles, whether it asserts something or not"
        assert before.fields["union"] == ["ann", "bob"]
        assert everything.section_digest == settled.section_digest != before.section_digest

    asyncio.run(test())
