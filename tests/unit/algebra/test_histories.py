"""Histories: ids, prefix order, meet and union obey their laws, on random words against the definition by closure."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relmachine.algebra.identity import history_id
from relmachine.algebra.traces import normal_form, tiers
from tests.oracles.histories import Event, History, is_prefix, meet, union
from tests.oracles.obstructions import Disagreement
from tests.unit.algebra.words import GENESIS, NAMES, Trace, identify, swapped, words

Case = tuple[tuple[int, ...], list[int]]


@st.composite
def continuations(draw: st.DrawFn, count: int) -> tuple[tuple[int, ...], list[History]]:
    """A dependence and `count` histories that each continue a common one; occurrences are numbered per history."""
    dependent, common = draw(words(5))
    tails = st.lists(st.integers(0, len(dependent) - 1), max_size=4)
    return dependent, [Trace(dependent, (*common, *draw(tails))).history for _ in range(count)]


@given(words())
def test_a_history_is_its_partial_order(case: Case) -> None:
    dependent, word = case
    trace = Trace(dependent, tuple(word))
    history = trace.history
    assert history.tiers == {trace.ids[x]: trace.tier(x) for x in range(len(word))}
    assert history.maximal == {trace.ids[x] for x in trace.maximal()}
    assert history.history_id == history_id(GENESIS, history.maximal)
    assert history.normal_form(NAMES) == normal_form(NAMES, word, tiers(dependent, word))
    for x, name in enumerate(trace.ids):
        assert history.below(name).events.keys() == {trace.ids[y] for y in trace.below[x] | {x}}


@given(words())
def test_order_puts_the_past_first(case: Case) -> None:
    history = Trace(case[0], tuple(case[1])).history
    order = history.order()
    assert sorted(order) == sorted(history.events)
    assert all(order.index(parent) < order.index(name) for name in order for parent in history.events[name].parents)


@given(words())
def test_swaps_of_independent_neighbours_change_nothing(case: Case) -> None:
    dependent, word = case
    history = Trace(dependent, tuple(word)).history
    for place in range(len(word) - 1):
        other = swapped(dependent, word, place)
        if other is not None:
            assert Trace(dependent, other).history == history
            assert Trace(dependent, other).history.history_id == history.history_id


@given(words(8), st.data())
def test_swaps_of_dependent_neighbours_change_the_id(case: Case, data: st.DataObject) -> None:
    dependent, word = case
    places = [x for x in range(len(word) - 1) if word[x] != word[x + 1] and swapped(dependent, word, x) is None]
    if places:
        x = data.draw(st.sampled_from(places))
        other = (*word[:x], word[x + 1], word[x], *word[x + 2 :])
        assert Trace(dependent, other).history.history_id != Trace(dependent, tuple(word)).history.history_id


@given(words(), st.data())
def test_parents_of_a_next_event(case: Case, data: st.DataObject) -> None:
    dependent, word = case
    step = data.draw(st.integers(0, len(dependent) - 1))
    longer = Trace(dependent, (*word, step))
    expected = {longer.ids[x] for x in longer.parents(len(word))}
    history = Trace(dependent, tuple(word)).history
    assert history.covering(dependent, step) == expected
    event = Event(longer.ids[-1], step, frozenset(expected))
    assert history.extended(event) == longer.history


@settings(max_examples=25)
@given(words(6))
def test_prefixes_are_ordered_and_meet_is_the_greatest_below(case: Case) -> None:
    prefixes = Trace(case[0], tuple(case[1])).prefixes()
    below = {(a, b): is_prefix(x, y) for a, x in enumerate(prefixes) for b, y in enumerate(prefixes)}
    for a, x in enumerate(prefixes):
        assert below[a, a]
        for b, y in enumerate(prefixes):
            assert not (below[a, b] and below[b, a]) or x.history_id == y.history_id
            least = prefixes.index(meet(x, y))
            for c in range(len(prefixes)):
                assert not (below[a, b] and below[b, c]) or below[a, c]
                assert (below[c, a] and below[c, b]) == below[c, least]


@given(continuations(2))
def test_union_holds_both_or_names_every_dependent_pair(case: tuple[tuple[int, ...], list[History]]) -> None:
    dependent, (a, b) = case
    clashes = {
        frozenset((x, y))
        for x in a.events.keys() - b.events.keys()
        for y in b.events.keys() - a.events.keys()
        if dependent[a.events[x].step] >> b.events[y].step & 1
    }
    found = union(a, b, dependent)
    assert union(b, a, dependent) == found
    if isinstance(found, History):
        assert not clashes
        assert is_prefix(a, found)
        assert is_prefix(b, found)
        assert found.events.keys() == a.events.keys() | b.events.keys()
    else:
        assert {frozenset(side.events[0] for side in (each.left, each.right)) for each in found} == clashes
        assert len(found) == len(clashes)
        assert {each.disagreement for each in found} == {Disagreement.DEPENDENT}


@given(continuations(2))
def test_union_is_the_history_in_which_one_goes_on_after_the_other(case: tuple[tuple[int, ...], list[History]]) -> None:
    dependent, (a, b) = case
    found = union(a, b, dependent)
    if isinstance(found, History):
        grown = a
        for name in b.order():
            if name not in a.events:
                step = b.events[name].step
                parents = grown.covering(dependent, step)
                assert parents == b.events[name].parents, "the event keeps its past, so it keeps its id"
                grown = grown.extended(Event(name, step, parents))
        assert grown.history_id == found.history_id


@given(continuations(3))
def test_union_is_associative(case: tuple[tuple[int, ...], list[History]]) -> None:
    dependent, (a, b, c) = case
    first, second = union(a, b, dependent), union(b, c, dependent)
    left = union(first, c, dependent) if isinstance(first, History) else first
    right = union(a, second, dependent) if isinstance(second, History) else second
    defined = all(isinstance(union(x, y, dependent), History) for x, y in combinations((a, b, c), 2))
    assert isinstance(left, History) == isinstance(right, History) == defined
    assert not defined or left == right


@given(words())
def test_union_of_prefixes_is_the_least_above(case: Case) -> None:
    dependent, word = case
    whole = Trace(dependent, tuple(word)).history
    parts = [whole.below(name) for name in sorted(whole.events)]
    total = History.of(GENESIS, [])
    for part in parts:
        found = union(total, part, dependent)
        assert isinstance(found, History)
        total = found
    assert total == whole
    assert hash(total) == hash(whole)


def test_strange_histories_have_nothing_in_common() -> None:
    ours, theirs = History.of(GENESIS, []), History.of("elsewhere", [])
    assert not is_prefix(ours, theirs)
    with pytest.raises(ValueError, match="nothing in common"):
        union(ours, theirs, [1])
    with pytest.raises(ValueError, match="nothing in common"):
        meet(ours, theirs)


def test_an_event_without_its_past_is_no_history() -> None:
    first = identify(0, 0, [])
    with pytest.raises(ValueError, match="not in the history"):
        History.of(GENESIS, [Event(identify(0, 1, [first]), 0, frozenset((first,)))])
